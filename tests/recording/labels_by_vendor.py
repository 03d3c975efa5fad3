"""Labels as sleep labs write them, by vendor, cohort and language, with what each measures; written before the reader was tuned.

One line a kind: a kind's name, a colon, labels separated by " | ".
"""

TABLE = {
    "EDF+ standard texts": """
        EEG: EEG Fpz-Cz | EEG Pz-Oz | EEG C3-A2 | EEG F3 | EEG C4-Ref
        EOG: EOG horizontal | EOG left | EOG E1-A2 | EOG P8-A1
        chin EMG: EMG submental | EMG chin
        leg EMG: EMG LAT | EMG RAT | EMG tibialis left
        ECG: ECG V2-V1 | ECG II | ECG
        flow: Resp nasal | Flow nasal
        thermistor: Resp oro-nasal thermistor
        thorax effort: Resp chest | Effort thorax
        abdomen effort: Resp abdomen
        SpO2: SaO2 SpO2 | SaO2 finger
        snore: Sound tracheal
        marker: Event marker
        other: Temp rectal | Temp skin
        light: Light ambient
    """,
    "Sleep-EDF and CAP": """
        EEG: F2-F4 | F4-C4 | C4-P4 | P4-O2 | F1-F3 | Fp2-F4 | F7-T3 | T4-C4 | O1-A2 | C3-P3
        EOG: ROC-LOC | LOC-ROC | EOG sin | EOG dx | EOG dx-A1 | ROC-A1
        chin EMG: CHIN-0 | EMG mento
        EMG: EMG1-EMG2 | EMG-EMG
        leg EMG: DX1-DX2 | SX1-SX2 | tib sin | tib dx | TIB Dx
        ECG: ECG1-ECG2 | EKG | ekg
        flow: Flusso | flow | FLUSSO
        thermistor: TERMISTORE | Termistore
        thorax effort: TORACE | Torace | toracico
        abdomen effort: ADDOME | Addome
        nasal pressure: Canula
        SpO2: SAO2 | SpO2 | Ox
        pulse: HR | PULS
        plethysmogram: PLETH
        position: Posizione | POSIZIO
        snore: MIC
    """,
    "NSRR: SHHS, MrOS, CFS, CHAT, HomePAP, MESA, WSC, NCHSDB": """
        EEG: EEG(sec) | EEG | C3-A2 | EEG1 | EEG2 | C3_M2 | O1_M2 | F3_M2 | Cz_AVG | Pz_Cz | EEG C3-M2 | EEG O2-M1 | T4-A1
        EOG: EOG(L) | EOG(R) | E1 | E-2 | LOC | EOG-L | E1-M2 | EOG LOC-M2 | E2_M1
        chin EMG: L Chin | R Chin | Lchin-Cchin | cchin_l | rchin_l | EMG CHIN1-CHIN2 | chin | Chin1-Chin2
        EMG: EMG | EMG1 | EMG2
        leg EMG: L-Leg | rleg | lleg_r | Leg | Leg L | EMG LLEG+-LLEG- | LLeg1-LLeg2 | Leg/R | R-Leg2
        ECG: ECG | EKG | ECG L | ECG R | ECG EKG2-EKG | ECG2-ECG1 | ECG1
        flow: AIRFLOW | NEW AIR | Airflow | flow | C-Flow | Resp Airflow | oralflow | nasalflow | CPAP Flow | XFlow
        nasal pressure: Nasal Pres | NASAL PRES | nas_pres | Cannula Flow | cannulaflow | Resp PTAF | Pres | NPT
        thermistor: Therm | Thermistor | oral therm
        thorax effort: THOR RES | Thor | Thoracic | THOR EFFORT | Chest | Thor Effort | Resp Thoracic
        abdomen effort: ABDO RES | Abdo | Abdominal | ABDO EFFORT | ABD | Resp Abdominal
        effort sum: SUM | XSum | Sum
        SpO2: SaO2 | SpO2 | OSAT | Sat | SpO2 (avg)
        pulse: H.R. | HR | PR | Pulse | PULSE | OximeterPulse | DHR
        plethysmogram: Pleth | PlethWV | Plethysmogram
        CO2: EtCO2 | TcCO2 | Capno | EtCO2 Wave | CO2
        snore: Snore | SNORE | Snoring
        position: POSITION | Position | Pos | Body Position
        light: LIGHT
        PAP setting: C-Pressure | CPAP | Tidal Vol | Leak | IPAP | EPAP | CPAP Press | Mask Pressure
        impedance: EKG_Off | EEG1_Off | Chin_Off
        other: OX stat | OxStatus | Resp Rate | PTT
        marker: Patient Event
    """,
    "MASS, ISRUC, DREAMS, CinC 2018": """
        EEG: EEG C3-CLE | EEG F3-LER | EEG Fp1-LER | EEG T7-CLE | C3-A2 | FP1-A2 | CZ-A1 | F3-M2 | O2-M1 | O1-M2 | EEG Cz-LER
        EOG: EOG Left Horiz | EOG Right Horiz | EOG Upper Vertic | LOC-A2 | P8-A1 EOG | E1-M2 | EOG1-A2
        chin EMG: EMG Chin1 | EMG Chin3 | Chin1-Chin2 | EMG submentalis
        leg EMG: EMG Ant Tibial L | EMG Tibial R | EMG Tib L
        ECG: ECG ECGI | ECG
        thorax effort: Resp Belt Thor | CHEST | VTH
        abdomen effort: Resp Belt Abdo | ABD | VAB
        nasal pressure: Resp Cannula
        thermistor: Resp Thermistor
        flow: Resp Nasal | AIRFLOW | NAF
        SpO2: SaO2 SaO2 | SaO2 | SAO2
        position: POS
        snore: Snore
        plethysmogram: Pleth
    """,
    "Nihon Kohden": """
        EEG: EEG Fp1-Ref | EEG C3-Ref | EEG A1-Ref | POL F3 | EEG Pz-Ref | EEG T5-Ref
        chin EMG: POL Chin | EMG Chin-Ref
        leg EMG: POL LLEG | EMG L.Leg
        ECG: POL ECG | POL EKG1 | ECG EKG-Ref
        SpO2: SpO2 | POL SpO2
        CO2: EtCO2
        marker: POL Mark | POL Mark1 | Events/Markers
        other: POL DC01 | POL DC09 | DC10 | POL BP1
    """,
    "Compumedics, Grael, Profusion": """
        EEG: C3 | F4 | EEG C3-A2 | O2-M1 | Fpz
        EOG: E1 | EOG(L)
        chin EMG: EMG Chin | ChinL | Chin Centre
        leg EMG: Leg(L) | Leg(R) | Leg/L | Left Leg
        ECG: ECG | ECG+ | ECG2
        flow: Flow | Flow_CU | AF
        nasal pressure: Nasal Pressure | NasalP | PNasal | Nasal Press
        thermistor: Thermistor | Therm_CU | Thermal
        thorax effort: Thor | Thoracic Belt | Thoracic
        abdomen effort: Abdo | Abdominal Belt
        snore: Snore | Sound | Snore_CU | dB Snore
        SpO2: SpO2 | SpO2_CU
        pulse: HeartRate | Heart Rate | Heart Rate_CU | Pulse_CU
        plethysmogram: Pleth | Pleth_CU | PPG
        position: Position | Pos_CU | BodyPos
        PAP setting: PAP Pressure | Mask Press. | CPAP Leak | Treatment Pressure | Tidal Volume
        light: Light_CU
    """,
    "Embla, RemLogic, Natus, Sandman": """
        EEG: C3-M2 | C4-A1 | O1-A2 | F4-A1 | EEG C3 | EEG F3-M2 | EEG A1
        EOG: E1-M2 | EOG Left | EOG.L | Left EOG | EOGL | LEOG-M2
        chin EMG: EMG.Submental | Chin EMG | Submentalis | EMG Mentalis
        leg EMG: EMG.Tibialis-Left | EMG.Tibialis-Right | Left Tibialis | PLM r | PLMl | PLM_L | Left Leg EMG | LAT1
        arm EMG: EMG FDS L | FDS | Flexor digitorum | Right Arm | Arm EMG L
        ECG: ECG.I | ECG II | EKG-L | Lead II
        nasal pressure: Nasal Cannula | Cannula | Pressure Flow | Flow Pressure | P Nasal | Pflow
        flow: Flow Patient | Airflow 1 | Nasal flow | Oral flow
        thermistor: Thermocouple | Thermo | T-Flow | TFlow
        thorax effort: Resp.Thorax | Thorax | Xact Thorax | RIP Thora | RIP.Thrx | Chest Belt
        abdomen effort: Resp.Abdomen | Abdomen | RIP Abdom | RIP.Abdom
        effort sum: RIP Sum | Sum RIP | Vsum
        SpO2: SpO2 | SpO2 BB | SpO2.BeatToBeat | Saturation
        pulse: Pulse | Heart rate | PulseRate | HR-ECG
        plethysmogram: Pulse Waveform | Plethysmograph | Pulse wave
        position: Body position | Position.Angle
        activity: Gravity | Activity | Actigraphy | Accelerometer X | Gravity X | Acc Z
        snore: Snoring Sensor | Snore Mic | Microphone
        impedance: Impedance C3 | EEG C3 Imp | C4 (Imp) | Imp. Chin | Impedance_E1
        other: Battery | DC1 | DC 5 | Aux 3 | Voltage (core) | Audio
        marker: Marker | Trigger | Status | Event | Sync
    """,
    "Nox, SOMNOmedics, Philips Alice, Cadwell, BrainRT, wearables": """
        EEG: Fp1 | AF7 | AF8 | TP9 | TP10 | C3:A2 | C4:M1 | EEG 1 | EEG L | F7-Fpz | F8-F7
        EOG: EOG r:M1 | EOG1:A2 | EOG2:A2 | EOG re | EOGli
        chin EMG: EMG chin1 | EMG 1-Chin | Chin Z-Chin 1 | 1-F | 2-F
        leg EMG: PLMli. | PLMre | PLM1 | Tib. li. | L-AT | Right leg 2 | RTIB
        arm EMG: Arm L | EDC left | Arm_R
        EMG: Masseter | Masseter L | Temporalis | Sternocleidomastoid | RIC | EMG diaphragm | Intercostal R | Trapezius
        ECG: ECG II | EKG1 | ECG LA-RA | ECG 1
        thorax effort: Effort Tho. | RIP Thorax | Effort THO | Thorax belt | Inductance Thora
        abdomen effort: Effort Abd. | RIP Abdomen | Effort ABD | Inductance Abdom | Abdomen CaL
        effort sum: RIP Sum | Sum Effort | Effort
        flow: Flow Th | Flow & Snore | RIP Flow | Airflow
        nasal pressure: Pressure | Nasal pressure | Prongs | Cannula
        snore: Snore | Phono | Mikro
        SpO2: SpO2 B-B | SPO2 | SpO2 %
        pulse: Pulse Rate | Puls | Herzfrequenz | HRate | Beat HR
        plethysmogram: Pleth | PPG | OPPG | PAT
        position: Position | PosAngle | Pos. | Lage | Elevation
        activity: Activity | X Axis | Y Axis | Movement | Akti. | Motion | Acc_X
        light: Light | Ambient Light | Licht | Lux
        other: Battery Voltage | Temperature | Flow Limitation | RIP-Phase | PWA | Systolic BP | K
        impedance: Imp C3 | Impedanz C4
        PAP setting: Druck CPAP | PAP | PAP Leak | Pmask
    """,
    "German, French, Spanish, Italian, Portuguese, Dutch, Czech, Danish": """
        chin EMG: Kinn | EMG Kinn | Menton | EMG menton | Mentón | Mento | Queixo | Kin | EMG Brada | Hage EMG
        chin EMG: EMG Hage | Houppe menton
        leg EMG: Bein links | Bein re | Jambe droite | Jambe gauche | Pierna izq | Pierna derecha | Gamba dx | Gamba sx
        leg EMG: Perna E | Been links | Noha L | Venstre ben | EMG Jambe D
        arm EMG: Bras gauche | Brazo izq | Braccio dx | Braço
        thorax effort: Brust | Atmung Brust | Sangle thoracique | Tórax | Tórax banda | Borst | Hrudník | Bryst
        thorax effort: Brustgurt | Poitrine
        abdomen effort: Bauch | Sangle abdominale | Banda abdomen | Addominale | Abdome | Buik | Břicho | Mave
        abdomen effort: Bauchgurt | Atmung Bauch
        flow: Atemfluss | Fluss | Débit nasal | Flux nasal | Flujo | Flujo aéreo | Fluxo | Luchtstroom | Atmung
        flow: Flux aérien | Dech
        nasal pressure: Nasendruck | Pression nasale | Presión nasal | Pressione nasale | Lunette nasale | Canule
        nasal pressure: Cánula nasal | Nasenbrille | Neusdruk
        thermistor: Thermistance | Termistor | Termopar
        snore: Schnarchen | Ronflement | Ronflements | Ronquido | Ronquidos | Russamento | Ronco | Snurken | Chrápání
        snore: Snorken
        SpO2: Sättigung | O2-Sättigung | Saturation | Saturación | Saturazione | Saturação | Saturatie | Saturace
        SpO2: Iltmætning | Sat O2
        pulse: Puls | Pouls | Pulso | Polso | Fréquence cardiaque | Frecuencia cardiaca | Hartslag | Tep | Herzrate
        position: Lage | Körperlage | Posición | Posizione | Posição | Houding | Poloha | Position du corps | Kropsstilling
        light: Licht | Lumière | Luz
        activity: Bewegung | Mouvement | Movimiento | Aktivität
        EOG: EOG links | EOG rechts | Auge links | EOG gauche | EOG droit | Ojo izq | Occhio dx | EOG izquierdo | EOG ext li
        impedance: Impédance C3 | C4 Impédance | M1 ImpÃ©dance | Jambe droite Imp
    """,
    "Awkward": """
        EEG: c3 - m2 | C3.M2 | C3/M2 | (C3-M2) | EEG-C3 | EEG_C3_M2 | C3M2 | C3-M1M2 | C4-(M1+M2) | EEG C3-A1A2
        EEG: EEG FP1-REF | EEG C3-LE | EEG T3-AVG | O1x | F4-Avg | FCz | CP5 | PO8 | FT10 | EEG CZ-LE | C 3 | EEG M2
        EOG: E1-REF | EEG E1-REF | EEG LOC-REF | e2:m1 | VEOG | HEOG | R EOG | EOG_R | Eye L | ROC
        chin EMG: EEG CHIN1-REF | EMG-Chin | CHIN_L | Chin2-REF | chin-emg 1
        leg EMG: EEG LAT1-REF | l.leg | LEG_L | leg-r-2 | Legs | Left Anterior Tibialis | tibialis ant. re
        ECG: EEG EKG-REF | ekg+ | ECG-1 | E.K.G.
        SpO2: O2 Sat | O2SAT | SPO2-1 | Sp O2 | spo2_finger | Oximetry
        pulse: h r | Pulse-1 | heart_rate | HEARTRATE
        flow: nasal/oral | Air Flow | AIR-FLOW | Nasal-Oral
        other: Spare | Ch 21 | 17 | Unused | Ref | GND | Reserved
    """,
}


HELD_OUT = """
    EKG: EKG-R | EKG L | ECG L-R | ECG V1 | ECG I-II | ECGII | ECG III | ECG-LA | ECG LA-RA | R-ECG | ECG (R) | EKG1-Cz
    EKG: LEKG | REKG | EKGL | EKGR | ECG+-ECG- | X1 (ECG) | Lead 1 | Lead II | EKG-ref | ekg1-ekg2 | ECG1:ECG2 | ECG_CU
    EKG: E KG | ECG Rt | EKG Rt | Lt EKG | ECG DC | ECG L - ECG R | EKG V6 | ECGV | ECG.1 | Cardiac | elektrokardiogramm
    EKG: 1. Abl. EKG | EKG I | ECG chest | ECG leg
    EMG: L. Leg | L-TIB | R Tib Ant | Tib-L | Tibialis L | RLEG1 | LLEG1-LLEG2 | LtLeg | RtLeg | Lt Leg | Rt Leg | LtArm
    EMG: Leg L-R | PLMS | L Mass | R Mass | LMass | RMass | LMasseter | Jaw | Neck EMG | SCM-L | Ext-L | Flex R | FDS L
    EMG: EDB | Arm1 | RUE | LLE | LUE | RLE | Bicep | Wrist | Forearm R | Thigh | Quad | Calf | Gastroc | Ankle
    EMG: Intercostal | IC EMG | RIC | LIC | Diaphragm | Paraspinal | Deltoid | Chin A | ChinB | Chin-L | ChinC
    EMG: Chin CTR | Chin1-Chin3 | CHIN1:CHIN2 | ChinL-ChinR | Mentalis | SubM | SubMental | Lchin | EMG L | EMG R
    EMG: EMG-Chin | EMG Left Leg | EMG Ch1 | EMG Aux | EMG Arms | Feet | Temporalis-R | Frontalis | Orbicularis | Trap
    EMG: Hand L | TA-L | TA-R | L TA | Leg EMG | LLeg-RLeg | EMG1:EMG2 | EMG 1:2 | EMG3-EMG2 | L.Arm | R.Leg2 | LEG2
    EMG: Legs-L | LAT-1 | Rat2 | Ant Tib L | Anterior Tib | Tib/L | LegL/Ref | Chin/Ref | CHIN_EMG_2 | emgchin
    EMG: chinemg1 | Left Chin | Right Chin | Center Chin | Mid Chin | Sub Mental | MentalisL | Extensors | Flexors
    EMG: Scalenus | Abdominal EMG | Resp EMG | LArm1-LArm2 | R-Masseter-2 | MASSETER | Masetero | Masseter Dr | Bein re.
    EMG: Jambe D | Ext4-Ext1 | EMG7 | EMG10 | EMG_submental | EMG.Chin1-Chin2 | EMG-SM | Mylohyoid
    RESP: Abdomen | ABD EFFORT | Abd Belt | Abdomen RIP | Chest Effort | THO | THX | Thorax DC | NPT | NAF | NPAF
    RESP: Nasal flow | Oral | OralNasal | Oral Flow | Therm | TFLOW | FLOW | Flow DC | C-FLOW | CPAP flow | PTAF
    RESP: PTAF-AC | Nasal Cannula | Cannula | Airflow DC | Thermal | Pulse | PR | HR | Heart Rate | Pleth | PLETH
    RESP: PulseOx | SpO2-2 | SaO2-Masimo | OSAT | O2 Sat | SAT | Nonin | Sentec CO2 | TcCO2 | ETCO2 | CO2 | Capno
    RESP: CO2-Sentec | TCO2 | Snore DC | Snore 2 | Mic | Microphone | Sum | RIP Sum | XSUM | Effort | Resp | Resp 1
    RESP: Belt | PES | HR-0 | HR-Masimo | PR-Masimo | SentecPR | SentecHR | SentecCO2 | Masimo SpO2 | SPO2_Masimo
    RESP: MasimoPleth | Pleth-Masimo | Nasal AC | NasalPress | Nasal_Pressure | NAS PRES | Nas Press | P-Flow
    RESP: PressureFlow | Oro-nasal | Oronasal Therm | THERMISTOR | Thermist. | Therm Flow | Oral/Nasal | Mouth | Nose
    RESP: Air flow 2 | AirFlow1 | New Airflow | NewFlow | AbdomenDC | Abd DC | AbdoDC | ThorDC | Chest DC | ThoracicDC
    RESP: Effort Abd | Effort ABD | Abd Effort | Abdo Effort | Thoracic Effort | RIP Thorax | RIP-Abd | RIPSum | Sum RIP
    RESP: Sum.RIP | Snore-1 | SNOREg | SnoreMic | Snor | SNORING | Snr | Heart rate-0 | HeartR | Pulse Rate
    RESP: PulseRate-0 | Pulse_CU | SpO2_CU | Nasal_CU | Flow_CU | Thor_CU | Abdo_CU | Airflow_CU | Plethysmography | PPG
    RESP: Finger Pleth | Ear SpO2 | SpO2-Sentec | SaO2-0 | Sa O2 | SAO2 | Saturation | Thoracal | thoraxband | Belt abd
    RESP: Belt tho | abd. belt | Chest wall | ribcage | RC | AB | Nasaldruck | Nasenfluss | respiro | Flusso nasale
    RESP: Fluxo oral | resp. toracica | Resp. abdominale
    BAS: A1-A2 | C3:A2:A1 | EEG 2 | EOG V | EOG H | LEOG-M2 | LOC-A2 | C3-x | C3-REF | C3-Avg | C4_R | Fp1-F7 | Cz-Pz
    BAS: Cz-Oz | T3-T5 | P7 | P8 | T7-P7 | EOGl | EOGl:M2 | EOGl512 | ROC-x | LEye | Left Eye | A1/A2 | A1+A2 | M1M2
    BAS: EEG4 | O2-A1A2 | F3-M1M2 | E2-Fpz | E1 (LEOG) | E2(REOG) | EOG2-A1 | ROC-LOC | LOC/A2 | EEG (C3-A2) | C3A2-0
    BAS: C3-A2-1 | EEG 1-2 | Pz-A1A2 | Cz:M1 | F8A1 | F7A2 | T6A2 | P3A2 | P4A1 | FZ-M1 | Fz:M2 | OZ-A2 | Oz-Cz | Fpz:Cz
    BAS: FP2-M1 | Fp2:E1 | EOG R-M1 | E1-Fpz | EOGL-A2 | R EOG-A1 | L.EOG | Reog | leog | L EOG | R EOG | eog right
    BAS: EOGR:M1 | LOC:M2 | ROC:M1 | AF3 | AF4 | FC1 | CP2 | PO4 | FT9 | TP9 | T9 | T10 | P9 | Nz | Iz | EEG Nz | C3-P3
    BAS: P3-O1 | F3-C3 | Fz-Cz | T5-O1 | E1:M2:M1 | M2:C4:F4 | C4:A1:A2 | EEG A2-A1 | C4-A1(2) | O1-A2/A1 | EEG-F3
    BAS: EEG.C4 | EEG Left | EEG_R | EEG Fpz - Cz | EEG F7-T3 | C4' | T3' | EEG Fp2-AVG
    None: Position | Body Pos | POS | Light | LIGHTS | Lux | Impedance | Imp | C3 Imp | Z C3 | CPAP | CPAP Pressure
    None: PAP | IPAP | EPAP | Leak | Mask Leak | TidVol | Vt | Mask Pressure | Press CPAP | Event | Marker | Trigger
    None: Status | DC1 | DC 7 | Battery | Activity | ACT | Accel X | Gyro Y | Gravity Z | Actigraph | Body temp
    None: Room Temp | Ambient | Video | Audio | Sync | Time | Clock | Patient Event Button | EDF Status | STI 014 | Off
    None: Impedanz | MinVent | Min Vent | PAP pressure | PtLeak | C-Press | CPRES | Titration | Patient Position | Body
    None: BodyPosition | POSITION-0 | Light-0 | Stage | Lights Off | Noise | Temperature | PAP Leak | Set Pressure
    None: CPAP-IPAP | Therapy pressure | Rate (CPAP) | Imp Ref | Ground | Ref | Unused
    EMG: DELTDX | DELTSIN | DELT DX | TIB Sx | MILO | milo+-milo- | EMG-Mento | Tib_dx | Dia | addDX | EMG deltoid L
    EMG: PSG_LEGL | PSG_EMG | EMG1-Ref | Chin-Ref2 | EMGsub | EMG sub | JambG | JambD | LtTib | RtTib | ChEMG | EMG_Chin
    EMG: EMG ChinL-ChinR | EMG_LLeg | EMG_RLeg | EMG Lat. | EMG Rat. | LEMG1 | REMG2 | Leg Left | legs right | Tibia re
    EMG: PLM left | PLM R | left tibialis anterior | M.tibialis li | EMG kin | EMG hage | chin emg 3 | CHIN3-CHIN2
    EMG: Masseter Right | M. masseter | L Masseter-R Masseter | EMG arm | R-FDS | L-EDC | Biceps L | EMG FDS re
    EMG: EMG neck | SCM R | Ext Dig | Foot | Leg_1 | Leg1-Leg2 | LLEG+ | LLEG- | RLEG-RLEG2 | LLeg-LLeg2 | EMG.LLeg
    EMG: Lat-1 | UE-L | L Leg (EMG)
    EKG: ECG1+-ECG1- | EKG- | ECG_II | ECG-V1 | PSG_ECG | ECGL-ECGR | EKG2-EKG1 | ECG.II | ECG_1 | 1. ECG | EKG Modif.
    EKG: ECG Lead II | MLII | V5 | EKG (L) | EKG-Cz | Ekg_R | ECG R-L | ECGsig | EKGA | elektrokardiograf | ECGDr
    EKG: ECG d | Card.
    RESP: TERMIST | Toracico | addome | torace | flusso+-flusso- | SAO2+-SAO2- | PULS+-PULS- | BEAT+-BEAT- | PSG_THER
    RESP: PSG_SPO2 | PSG_PULSE | PSG_BEAT | PSG_SNORE | PSG_PPG | PSG_ABD | PSG_CANNULA | PSG_THOR | Resp C | Resp A
    RESP: Resp N | Resp (sum) | Resp (nasal) | Resp (abdominal) | SO2 | ribcage | abdo | Sound | Flow_DR | Pflow | rFlow
    RESP: xFlow | Fluss Nase | Fluss Mund | Nasal Fluss | RespThorax | Resp_Abd | RIP.Thorax | RIP_Abdomen | RIP THX
    RESP: RIP ABD | RIPSum | Thorax RIP | Abd RIP | ThorRes | AbdoRes | VT Thorax | Atemfluss Nase
    RESP: Atemanstrengung Thorax | Thorax Gurt | Abdomen Gurt | SaO2 Finger | Saturación O2 | SatO2 | Sat. O2 | Sp02
    RESP: SP02-1 | Pulso cardiaco | FC | Frec. card. | Freq. cardiaca | Herz | HF | FlowTh | TH Flow | NFLOW | NasFlow
    RESP: PNP | Nasal Cannula Pressure | Press. nasal | Cannula flow 1 | Oronasal | Oro-nasal Flow | naso-orale
    RESP: Airflow (therm) | Therm. flow | TcpCO2 | PtcCO2 | PETCO2 | End tidal CO2 | Capnography | Mikrofon
    RESP: Tracheal Mic | Larynx | Snore sensor | Schnarch | Ronquido 1 | Pletismografia | Pleth wave | PulsePleth
    RESP: SpO2 Pleth | Nonin HR | Nonin SpO2 | Masimo PR | Finger pulse | Resp Effort | Effort 1 | PES | Pes balloon
    RESP: Esophageal pressure | Resp.Flow-Cannul | Resp.Movement-Ab | Resp.Movement-Th | Chest movement | RD-Pos
    RESP: Snoring Vol
    BAS: Lefteye | RightEye | PSG_F3 | PSG_EOGR | HB_1 EEG | EEG Fp1-M2 | EEG-C4-M1 | C4AVG | EEG 3-REF | LOC / A2
    BAS: ROC / A1 | EOG-Left | EOG-Right | EOG links-A2 | E1-A2 | E1A2 | E2A1 | EOG1-M2 | EOG E1-M2 | E1.M2 | EEG F3:M2
    BAS: EEG(C4-M1) | EEG C4/A1 | Fp2-AA | C3-AA | EEG A1 | A2-REF | EEG LUC-LE | EEG RLC-LE | EEG T1-REF | T1
    BAS: EEG SP1-REF | SP2 | PG1 | EEG F10 | CP1-CP2 | EEG Ch 1 | EEG A | EEG-1 | EEG L-R | EEG Kanal 1 | EOG horiz
    BAS: EOG vert. | H EOG | V-EOG | REM left | EOG A | EOGV | oculogramma | E1-M1-M2 | O1-(A1+A2) | C3-avg(A1,A2)
    BAS: M1+M2 | F3-LE | EEG C3-M2-0 | C4-M1-1 | Cz-A1A2 | CZ2 | Fz/Cz | C3_A2 | EEG_Fpz-Cz | EEG1-EEG2
    None: PSG_POS | HB_IMU_1 | Marker+-Marker- | MKR+-MKR- | DC4-DC3 | PHOTIC-REF | IBI | BURSTS | SUPPR | Lage 2
    None: Körperl. | Batt. | Batterie | Licht | xPAP Druck | CPAP Druck | pCPAP | Mask Flow Leak | Leak Flow
    None: Total Leak | Vte | Respiratory Rate | Resp. rate | RR | SpO2 quality | Pulse quality | SpO2 status | Imp E1
    None: E1 impedance | Impedancia C3 | Z-C3 | Temp | Body Temp. | Raumtemp | Video | Epoch | Annotations | Ereignis
    None: Evento | Botón | Accelerometer | ACC-X | Bewegung | Gyro | Light off | Lux meter | Humidity | Noise dB
    None: DC In 3 | Aux | EXT INPUT | NC | Unknown | - | . | --- | Channel 12 | CH 3 | X | Orientation | Body angle
    None: PosSensor | Position_CU | STAT | SYNC | Trig | ECG quality | ECG Off | Thor_Off | Leg_Off | Arousal | Stage
    None: Hypnogram
"""
"""Labels by modality, collected after the reader was built from the table above; it placed 95 % of them unseen."""


def labelled() -> list[tuple[str, str, str]]:
    """Return (where it comes from, kind, label) of every label in the table."""
    rows = []
    for source, text in TABLE.items():
        for line in text.strip().splitlines():
            kind, _, labels = line.strip().partition(": ")
            rows.extend((source, kind, label.strip()) for label in labels.split(" | "))
    return rows


def held_out() -> list[tuple[str, str]]:
    """Return (modality or "None", label) of every held-out label."""
    rows = []
    for line in HELD_OUT.strip().splitlines():
        modality, _, labels = line.strip().partition(": ")
        rows.extend((modality, label) for label in labels.split(" | "))
    return rows
