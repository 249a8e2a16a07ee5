"""Patients and words of `demo --check`: made up by us, and of no case of the demo's story."""

from consortium.cli.demo_patients import Sketch

_MEDICATION = "阿司匹林 100 mg 每日一次"


def _somebody(name: str, sex: str, birth: str, diagnosis: str, code: str) -> Sketch:
    return Sketch(name, sex, birth, diagnosis, code, ("142", "88", "76"), _MEDICATION)


BEFORE = _somebody("方再春", "male", "1958-05-17", "高血压 2 级", "I10")
SUSPENDED = _somebody("苗凤英", "female", "1966-10-02", "心悸待查", "R00.2")
WHOLE_WAY = _somebody("祝长林", "male", "1961-03-29", "胸闷待查", "R07.4")
UNANSWERED = _somebody("柏月娥", "female", "1972-08-11", "冠心病", "I25.1")
CONSULTED = _somebody("费立本", "male", "1955-12-06", "心力衰竭", "I50.9")
RACING = (
    _somebody("滕水生", "male", "1963-07-21", "心房颤动", "I48"),
    _somebody("阮桂香", "female", "1969-02-25", "心房颤动", "I48"),
)
OTHER_NAME = "祝常林"
QUESTION = "请评估是否需要进一步检查，并指导用药。"
HISTORY = "近一周加重，活动后明显，已在本院对症处理。"
NOTE = "已补充化验单。"
DIAGNOSIS, FINDINGS, ADVICE = (
    "稳定型心绞痛",
    "心电图未见动态改变，心脏彩超大致正常。",
    "继续当前用药，两周后复诊。",
)
