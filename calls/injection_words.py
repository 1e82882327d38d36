"""What the patterns of `calls.injection_patterns` are made of: names of rules, of readers, of parts of an answer."""


def any_of(*words: str) -> str:
    """Any of these regular expressions."""
    return "(?:" + "|".join(words) + ")"


def near(first: str, second: str, gap: int) -> str:
    """`first`, then `second` with at most `gap` words between them."""
    return rf"{first}(?: \S+){{0,{gap}}}? {second}"


PROMPT = any_of(
    r"(?:system |developer |initial |original )?prompts?",
    r"(?<!delivery )(?<!payment )(?<!shipping )(?<!standing )(?<!assembly )(?<!care )(?<!transfer )instructions?",
    "guidelines?",
    "directives?",
    r"(?:system|developer) messages?",
    "programming",
    r"(?:safety|security|ethical|content|system|model) (?:rules?|protocols?|polic(?:y|ies)|constraints?|restrictions?)",
)
OLD = any_of("all", "any", "every", "your", "previous", "prior", "above", "earlier", "original", "initial", "preceding")
RULES = any_of(PROMPT, "rules?", "commands?", "context", "constraints?", "restrictions?", "training", "task")
CANCEL = any_of(
    *("ignore", "ignoring", "disregard", "disregarding", "override", "overrule", "bypass", "disobey", "circumvent"),
    *("neglect", "pay no attention to", "this regard", "overwrite"),
)
DROP = any_of(
    *(
        "forget",
        "erase",
        "delete",
        "discard",
        "cancel",
        "reset",
        "drop",
        "skip",
        "suspend",
        "abandon",
        "stop following",
    ),
    *("do not follow", "dont follow", "do not obey", "dont obey", "never mind", "set aside", "void", "stop"),
)
CALL = any_of("call", "conversation", "interaction", "transcript", "dialogue", "recording", "transcription")
MACHINE = any_of(
    r"(?:the |an? |any |every |our |this )?(?:ai|artificial intelligence|a i)",
    r"(?:an? |the |any )?(?:large )?language models?",
    *("llms?", "chat ?gpt", r"gpt(?: ?\d\w?)?", "gemini", "claude", "open ?ai", "copilot", "(?:the )?summari[sz]er"),
)
READER = any_of(
    MACHINE,
    r"(?:the |an? |any |every |our |this )?ai \w+",
    r"(?:the |this )?(?:automatic |automated )?(?:summary|summari[sz]ation|transcription|analysis|analytics|analysing|"
    r"classification|reading|evaluation|speech analytics)"
    r" (?:system|software|tool|engine|model|ai|bot|program|machine|robot)",
    r"(?:the )?(?:model|machine|computer|algorithm|software|robot|bot|program|system)",
)
# What is asked of who keeps a record, not of who helps.
NOTE = any_of(
    *("write", "classify", "categori[sz]e", "summari[sz]e", "treat", "leave out", "skip the", "do not mention"),
    *("dont mention", "make sure (?:you|to|that)", "(?:put|say|state|indicate)(?: down)? (?:that|this|it|my|the call)"),
    r"(?<!the )(?<!my )(?<! a )(?:log|mark|rate|score|code|note|record|report|label)",
)
TALK_OF = any_of(
    *("read", "reads", "reading", r"analy[sz]\w+", r"summari[sz]\w+", "processes", "processing", r"transcrib\w+"),
    *(r"review\w*", r"evaluat\w+", r"classif\w+", r"grad(?:es|ing)", r"scor(?:es|ing)", r"listen(?:s|ing) to"),
)
FIELD = any_of(
    *(
        "headline",
        "call summary",
        "summary",
        "outcome",
        r"sentiment(?: score)?",
        r"confidence(?: score| level)?",
        "mood",
    ),
    *(r"(?:call |contact )?reason codes?", "call reason", "contact reason", "disposition", r"secondary reasons?"),
    *("json", "schema", "is resolved", "resolved flag", "reason field", "category field", "label field"),
)
LABEL = any_of(FIELD, "reason", "category", "classification", "label", "next steps?", "resolution", "title", "subject")
BE = r"(?:to|as|equals?|equal to|is|at|colon|with)"
WRITE = any_of(
    *("write", "say", "state", "put", "output", "print", "include", "add", "mention", "claim", "insert", "append"),
    *("report", "note", "place", "copy", "paste", "leak", "repeat", "tell"),
)
