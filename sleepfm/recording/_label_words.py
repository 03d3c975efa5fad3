"""The words of channel labels in the languages of sleep labs, grouped by what they say.

Words are written without accents and in lower case. "stem*" also stands for every longer word that begins so. The groups are read
by `_labels.read_label` (which finds them even where they are glued together) and judged in `channels`.
"""

from __future__ import annotations

WORDS: dict[str, str] = {
    # what the signal is
    "eeg": "ээг 脑电 脳波 eeg elektroenzephal* electroenceph* brain",
    "eog": """
        эог oculogr* 眼电 眼動 eog leog reog heog veog eogr eogl eogli eogre loc roc eye eyes auge augen aug ojo ojos
        occhio occhi olho oog oeil oeils ocular* oculo* okulo* oko oftalm*
    """,
    "ecg": """
        card cardiac cardiaca cardiaque kardial mlii экг 心电 心電図 ecg ekg ecgi ecgii ecgiii ecgv elektrokard*
        electrocard* cardiogr* kardiogr* ekgi ekgii
    """,
    "lead": "lead leads ableitung derivation derivaz* deriv",
    "emg": "эмг 肌电 emg emgs elektromyo* electromyo* myogr*",
    # muscles
    "chin": """
        jaw subm sub подбор* 下颌 下颏 オトガイ chin chins submental* subment ment mentalis menton mento mentum mentonn*
        kinn kin queixo brada podbrod* barbilla hage haka leuka milo mylo* mylohyoid* genioglos* suprahyoid* mandib*
        houppe
    """,
    "leg": """
        lle rle thigh ankle oberschenkel pata нога ноги 腿 下肢 leg legs tib tibia tibial* tibant tibialis tibiale
        tibiaux tibs lat rat tibi bein beine jambe jambes jamb pierna piernas gamba gambe perna pernas been benen
        ben noha nohy nogi noga jalka foot feet fuss fuesse pied pieds pie pies voet plm plms plml plmr lm limb
        limbs gastroc* soleus quad quadric* calf wade peron* atl atr lta rta edb
    """,
    "dx": "dx sx",
    "arm": """
        ue lue rue bicep рука 上肢 arm arms bras brazo brazos braccio braccia braco bracos ruka ruce arme fds edc ext
        extensor* flex flexor* biceps triceps brachi* deltoid* delt fdi fdp fcr ecr wrist hand handgelenk forearm
        unterarm
    """,
    "muscle": """
        dia del mass masset* massat* maseter* masseter* temporalis temporal scm sternocl* sternom* scalen* skalen*
        trapez* trap intercost* interkost* ric lic parastern* diaphragm* diafragm* zwerchfell frontalis orbicul*
        corrug* zygom* platysma splenius paraspin* rectus obliq* glut* deltoideus neck muscle muskel muscul*
    """,
    "anterior": "ant anterior at ta",
    # breathing
    "flow": """
        поток* 气流 口鼻 flow airflow airflw newair newa air aero aerien flw flux fluxo flujo flusso fluss luftfluss
        luftstrom* atemfluss atemstrom* debit luchtstroom luftflow luftstrom proud przeplyw naf nasalflow oralflow
        xflow cflow nasal nose nasenfluss nas nasale nasaux nez nariz naso naz naris neus nase nos oral mouth mund
        bucal buccal* boca bocca bouche oronas* nasobucc* pnt pneumotach* pneumoflow spirom* hypflow
    """,
    "flow_short": "af new",
    "nasal_pressure": """
        pnp cannula* canul* cannul* kanul* lunette* lunettes gafas ptaf npt npaf pnasal nasalp nasenbrille prong*
        npres nasendruck naspres pflow nasopres* neusdruk pnas naspr
    """,
    "pressure": "давлен* pressure press pres pression* presion* pressao* pressio* druck tlak cisnienie tryk trykk",
    "thermistor": "ther therm thermist* thermo* termo* termist* thermal tflow ntherm termopar termocop*",
    "temperature": "temp temperat* tempr",
    "thorax": """
        груд* 胸 thor thora thorac* thorax* thorac thrx thorx tho thx thorres torax* torac* torace tor chest brust
        brustkorb brustgurt ribcage rib rc poitrine pecho peito borst borstkas hrudn* hrud bryst brystkasse brost
        klatka vth respthor
    """,
    "abdomen": """
        ab живот* 腹 abd abdm abdo abdom abdome abdomen* abdomin* abdores addom* addome adome* bauch bauchgurt belly
        ventre vientre brich* bris* buik brzuch* mave mavebalte vab buk
    """,
    "effort": """
        effort effor efort belt belts rip rips band banda bande gurt piezo sangle* ceinture* fascia cinta cinghia
        xact respitrace inductance induct pes poes esoph* oesoph* anstrengung atemanstrengung esfuerzo sforzo
        esforco balte wysilek
    """,
    "sum": "sum somme summe suma soma xsum vsum sums sumrip",
    "breath": """
        дыхан* 呼吸 resp respi respir respira* respirat* respiration atmung atem ademhaling ademh* adem dech dych*
        oddech* andning andedr* vejrtrae* breath breathing brth
    """,
    "snore": """
        snr храп* russament* russamento 鼾声 いびき snor snore* snori* snorg schnarch* ronfl* ronflement* ronq* ronc*
        roncus ronco chrap* snurk* snork* snark* ronch* roncop* phono fono
    """,
    "microphone": """
        larynx mic mics micro mikro microphone* mikrofon* mikrophon* microf* sound sounds tracheal trachea geluid
        schall
    """,
    "spo2": """
        сатурац* 血氧 spo2 sao2 sp02 sa02 osat o2sat sato2 sat satur* sattig* saettig* satt spo2bb spo2beattobeat so2
        oxim* oximeter oximetry oxym* oxi oxy ox ox2 iltm* iltmaetning maetning nasyc* saturat* spo sao
    """,
    "oximeter": "masimo nonin sentec radical nellcor",
    "co2": "co2 etco2 tcco2 tco2 tcpco2 ptcco2 pco2 petco2 pco capno* kapno* co2wave",
    "pulse": """
        пульс* чсс 脉率 心率 脈拍 pulse pulses pulseox puls pulso pulsos polso pouls tep tetno polsslag prate hr hrate dhr
        heart hartslag hartsl* herz* heartrate herzrate herzfreq* hjert* pulsrate pulserate pulsfreq* ihr fc srdce
        srdecn* coeur cuore corazon beat beats frc sykd* tetn* freqcard fcard frecard
    """,
    "pulse_short": "pr",
    "pleth": """
        pleth plethy* plesh* plethwv pletys* pletis* pletism* ppg oppg plth bvp plethysm* pletismo* pulsewave
        pulswelle pulsewaveform pat plet pulsoximwave
    """,
    "wave": "wave waveform wav wv form shape onde welle onda curve kurve golf",
    "rate": "rate freq frequ* freque* frec frecuenc* frequenz hz bpm",
    # derived, technical, not for the model
    "derived": """
        ptt pwa pwtt limitation limit flowlim flattening phase phas variab* hrv amplitude ampl pulseamp rri rmi
        index idx ratio delta rr rrint ahi kfactor
    """,
    "blood_pressure": "systol* diastol* sbp dbp abp nibp bp blood portapres finapres",
    "impedance": "impedan* impedenz* impedanc* imp imped impedanz* zmeas ohm ohms",
    "quality": "burst* suppr* quality qual stat integrity signalqual* confidence oxstatus oxstat dhrq",
    "off": "off aus uit",
    "battery": "batt* battery* akku batterie* bat voltage volt* spannung bluetooth bluetoo* supply power",
    "audio": "audio volume video camera",
    "light": "свет light lights ambient licht lumier* luz luce lumin* lux svetlo swiatlo lys ljus illum*",
    "position": """
        полож* 体位 pos posit* position* posic* posiz* pozyc* poloha polohy lage koerperlage korperlage bodypos body
        corps corpo cuerpo korper* houding ligging stilling kropsstill* posangle elevation elev inclin* tilt
        orientation orient supine angle asento lichaamsp* roll pitch yaw
    """,
    "activity": """
        imu acti act* activ* aktiv* akti actigr* aktigr* accel* acc accx accy accz acel* accelerom* beschleun* gyro
        gyroscope* gravity axis achse asse xaxis yaxis zaxis
    """,
    "movement": "movement* move* mov movi* motion bewegung* beweg* mouvement* moviment* pohyb ruch bevaegelse",
    "marker": """
        mkr photic метка 标记 marker* mark mark1 marca* markier* event* evenem* trigger* trig status patientevent
        button taste knopf annotation* sync* synchro* stim* stimul* ereignis* bouton
    """,
    "dc": "dc ac",
    "pap": """
        xpap cpap pap bipap bpap ipap epap autopap apap vpap asv niv papp pmask mask maske masque mascara maschera
        treatment trtmnt titrat* ventilator vent cpress therapy cpres bilevel
    """,
    "leak": "leak* leck* leckage fuite* fuga* perdita lekkage",
    "tidal": "tidal tidvol vt vte vti minvent minutevent* mv tidalvol* vtidal",
    "empty": "spare reserve* unus* empty frei leer libre vacio none",
    "auxiliary": """
        aux auxi* bip bipolar bipol gnd ground erde channel chan ch kanal canal canale input inp analog extra test
        cal calib* time clock zeit counter packet sequence room humid*
    """,
    # words that only refine
    "left": """
        lt лев* 左 left l li lft links gauche izq izqui* izquierd* sin sinistr* sinist esq esquerd* lewy lewa vanster
        venstre leva levy lev lnk linkes
    """,
    "right": """
        rt прав* 右 right r re rgt rechts droite droit der derecha derecho dxx dir direit* prawy prawa hoger hojre
        hoyre prava pravy prav dest* destr* rech rechtes
    """,
    "centre": "centre center ctr cent central mid middle mitte",
    "horizontal": """
        horiz horizontal* vert vertic* vertical* upper lower oben unten sup inf haut bas superior inferior diag
        outer
    """,
    "reference": "ref refer* avg aver* average cle ler le linked vref cm common",
    "aside": """
        backup monitor sensor system signal sig no nr num fil filt filter* filtered raw orig bb patient main cu pol
        edf vs on res sec int integral inter dig finger ear toe skin rect* rectal* db cardio* scaled calibrated
        recal clean and et und con de du del di da do la las los il the ctrl ra
    """,
}
"""Group to words."""
