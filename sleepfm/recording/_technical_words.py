"""Words that say what was measured, how, or what happened in the night, and name nobody.

A text is kept in a de-identified file when it holds nothing else; a person's name that is also such a word ("Chin") cannot be
told from it.
"""

from __future__ import annotations

import re
import unicodedata

from sleepfm.recording._label_words import WORDS

_HAPPENINGS = """
annotations annotation stage stages sleep wake waking awake awakening awakenings asleep w n r n1 n2 n3 n4 s1 s2 s3 s4 rem
nrem nonrem unscored unknown movement time mt epoch lights light off out on start starts started stop stops stopped end ends
ended begin begins begun recording record recorded study night resume resumed paused pause change changed montage filter
calibration calibrations apnea apnoea apneas hypopnea hypopnoea hypopneas hypopnee apnee apnoe zentral zentrale gemischt
gemischte obstruktiv obstruktive obstructive central mixed rera respiratory effort related event events desaturation
desaturations desat spo2 sao2 entsattigung arousal arousals eeg spontaneous limb leg legs plm plms plmd periodic movements lm
snore snoring snores ronflement schnarchen artifact artefact artifacts artefacts artefakt bradycardia tachycardia asystole
arrhythmia pvc pac cheyne stokes breathing hypoventilation bruxism spindle spindles kcomplex complex k slow wave delta alpha
theta sigma beta ripple sawtooth rbd position supine prone left right upright up down side back stomach body head standing
sitting lying eyes open closed blink blinks look looking hold breath deep deeply inhale exhale cough coughing swallow speak
talking talk count grit teeth flex foot feet toes chew clench impedance check ok bad good signal lost loss disconnected
disconnect reconnected connected electrode electrodes lead leads sensor belt cannula thermistor mask cpap bipap pap pressure
titration technician tech enters leaves room bathroom break toilet back bed in to from of the and at no not with without a on
by was is during after before scored manual manually auto automatic detected marker user event1 event2 licht aus an patient
subject yes normal abnormal none analysis channel data edf edfplus bdf persystent sleepstage stade schlafstadium schlaf wach
veille eveil movimento sueno despierto
"""
_SENSORS = """
ag agcl ag/agcl agagcl cl electrode electrodes silver chloride gold cup disk disc active passive needle adhesive gel oral
nasal oronasal thermistor thermocouple pressure cannula transducer belt strain gauge inductance plethysmography respiratory
rip piezo piezoelectric pvdf optical finger ear pulse oximeter oximetry accelerometer position sensor microphone tracheal
snore rectal temperature probe capnograph light button event marker na unknown generated simulated sine gauss wires wire body
box ohm
"""
_UNITS = "uv µv mv v hz khz db bpm cmh2o mmhg pa hpa kpa s ms l ml deg c % lpm"
_ALSO_NAMES = frozenset(("mark", "mark1", "marca", "rose", "art", "ray", "will", "max", "leo", "mari"))
"""Stand in vocabularies of labels and are first names as well: a name is believed before a technical word."""


_ACCENTS = re.compile("[\u0300-\u036f]")


def unaccented(text: str) -> str:
    """Return the text without case and accents, as words are compared."""
    if text.isascii():
        return text.lower()
    return _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))


def _read() -> tuple[frozenset[str], tuple[str, ...]]:
    words, stems = set[str](), set[str]()
    for text in (*WORDS.values(), _HAPPENINGS, _SENSORS, _UNITS):
        for word in text.split():
            (stems if word.endswith("*") else words).add(unaccented(word.rstrip("*")))
    return frozenset(words - _ALSO_NAMES), tuple(stem for stem in stems if len(stem) > _SHORT_STEM)


_SHORT_STEM = 4
"""A stem this short begins too many surnames."""
_EXACT, _STEMS = _read()


def is_technical(word: str) -> bool:
    """Whether a word (unaccented, of letters and digits) says what was measured or what happened."""
    return word in _EXACT or (word not in _ALSO_NAMES and word.startswith(_STEMS))


_PIECES = re.compile(r"[^\W_]+")
_LONGEST_NUMBER = 3


def says_nobody(text: str) -> bool:
    """Whether a text holds technical words and short numbers only: an empty one does too."""
    return all(_piece_says_nobody(piece) for piece in _PIECES.findall(unaccented(text)))


def _piece_says_nobody(piece: str) -> bool:
    if piece.isdigit():
        return len(piece) <= _LONGEST_NUMBER
    return is_technical(piece) or all(
        is_technical(part) or (part.isdigit() and len(part) <= _LONGEST_NUMBER) for part in re.findall(r"\d+|\D+", piece)
    )
