import numpy as np

from sleepfm.analysis.breathing import presence, severity


def test_severity_begins_at_5_15_and_30():
    np.testing.assert_array_equal(severity([0, 4.99, 5, 14.9, 15, 29.9, 30, 99, np.nan]), [0, 0, 1, 1, 2, 2, 3, 3, -1])
    np.testing.assert_array_equal(presence([0, 14.99, 15, 40, np.nan]), [0, 0, 1, 1, -1])
