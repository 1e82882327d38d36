"""How an order may be hidden in a text that a model reads: signs, letters, words that betray it (calls.injections)."""

import re

# Signs that nobody says, in the text as it was written.
MARKUP = re.compile(
    r"<[|/]{0,2}\s*(?:im_start|im_end|endoftext|system|user|assistant|inst|call|transcript|conversation|instructions?|"
    r"data|turns?|prompt|hidden|json)\b[^>]{0,40}>"
    r"|\[/?\s*(?:inst|system|sys|admin|assistant|user|instructions?|ignore|override|note to)\b[^\]]{0,60}\]|<<\s*/?sys"
    r"|```|~~~|#{2,}\s*[a-z]{3}|-{3,}\s*(?-i:[A-Z]{3})|={3,}|<!--|/\*"
    r"|(?:^|[.?!\n>\])\"'|]\s*)(?:system|assistant|developer|human|instruction|admin)\s*:"
    r"|[\"“'][\w ]{2,24}[\"”']\s*:\s*(?:true|false|null|[\"“'{\[\d])|\{\s*[\"“']|[\"”]\s*[}\]]|\}\s*,\s*[\"“{]"
    r"|\\n\\n|\\n(?-i:[A-Z])|\\\"|\\u00",
    re.IGNORECASE,
)
# Run together, as letters that were spelled out are.
COMPACT = re.compile(
    r"(?:ignore|disregard|override|bypass|forget).{0,40}?(?:instruction|prompt|rule|guideline|directive|"
    r"everything|above)"
    r"|(?:system|your)prompt|system(?:colon|override)|(?:reason|category|summary|outcome|confidence|headline|sentiment)"
    r"(?:code|score)?(?:is|to|as|equals|colon|mustbe|shouldbe)|(?:new|your|previous|earlier|"
    r"original)(?:instruction|task)"
    r"|inthesummary|textabove|nextstepthat|languagemodel|developermode|endoftranscript|nolongerapply|youarenow"
    r"|note(?:to)?the(?:ai|model)|whoeveris(?:summar|read|analy)|thiscall|reasoncode|system\w|summar[iy]|"
    r"sentiment|headline"
    r"|nextstep|nothingbut|confidence|instruction"
)
# In the letters alone of a text, so that no gap hides it.
WITHOUT_GAPS = re.compile(
    r"(?:ignore|disregard|override|bypass|forget)(?:all|any|every|the|your|my|these|those|of|thatare)*"
    r"(?:previous|prior|above|earlier|system|original|preceding)+(?:instruction|prompt|rule|guideline|command|directi)"
    r"|systemprompt|ignoreallinstructions|ignoreyourinstructions"
)
# Words of a sentence that is readable only when its text is turned round or shifted: none is a word the other way.
TELLING = frozenset(
    (
        *("the", "and", "you", "your", "that", "this", "with", "for", "from", "they", "all", "what", "call", "word"),
        *(
            "must",
            "shall",
            "have",
            "write",
            "score",
            "summary",
            "system",
            "outcome",
            "sentiment",
            "resolved",
            "nothing",
        ),
        "customer",
    )
)
# Words that fill a pause, left out before an order is looked for.
FILLERS = frozenset({"um", "uh", "uhm", "erm", "er", "hm", "hmm", "mhm", "ah", "eh", "ahm", "euh"})
# Typed otherwise by intent or by accident, these are still read by a model.
OFTEN_SCRAMBLED = (
    *("ignore", "disregard", "override", "previous", "instruction", "instructions", "prompt", "system", "summary"),
    *("confidence", "sentiment", "outcome", "classify", "category", "headline", "customer", "language", "conversation"),
    *("transcript", "analyse", "analyze", "summarise", "summarize", "everything", "guidelines", "developer"),
    *("resolved", "include", "message", "software"),
)
