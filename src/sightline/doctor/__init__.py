"""The doctor: what is wrong, or likely wrong, with a data set, and a corrected copy of it.

One file looks for one family of problems; `checks.py` is the table of all of them, `case.py` what each sees,
`run.py` the order. In: a Dataset as readers and `scan` gave it. Out: an Examination, a page, a corrected copy.
Next: checks.py
"""

from sightline.doctor.checks import CHECKS, Check, wanted_checks
from sightline.doctor.run import Examination, examine

__all__ = ["CHECKS", "Check", "Examination", "examine", "wanted_checks"]
