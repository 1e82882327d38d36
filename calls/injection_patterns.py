"""The words by which a speaker addresses the model that will read the call: patterns for `calls.injections`.

Patterns are searched in text of plain words (lower case, without accents, apostrophes and hyphens) that are parted by
one blank; `|` stands where a sentence or a turn ends. Each asks for an order together with what only a reader of the
call has (instructions, a prompt, a summary, a label), because customers do say "ignore my last e-mail".
"""

import re

from calls.injection_words import (
    BE,
    CALL,
    CANCEL,
    DROP,
    FIELD,
    LABEL,
    MACHINE,
    NOTE,
    OLD,
    PROMPT,
    READER,
    RULES,
    TALK_OF,
    WRITE,
    any_of,
    near,
)

Words = tuple[str, ...]

ENGLISH: Words = (
    # The rules are lifted.
    rf"\b{near(CANCEL, PROMPT, 6)}\b",
    rf"\b{near(CANCEL, near(OLD, RULES, 3), 3)}\b",
    rf"\b{near(DROP, near(OLD, RULES, 3), 2)}\b",
    rf"\b{any_of(CANCEL, 'forget', 'discard', 'erase')} (?:everything|anything|all|whatever|what)(?: \S+){{0,3}}?"
    r" (?:above|you (?:were|have been|ve been|had been) (?:told|given|taught|instructed)|you know|preceding|prior)\b",
    rf"\b(?:{CANCEL}|forget) (?:everything |all |all of |any of )?(?:the )?(?:above|directions?(?: above)?|"
    rf"foregoing)\b",
    rf"\b(?:{CANCEL}|forget) (?:what|everything|anything|all) (?:\w+ )?(?:was|has been|have been|were) (?:said|told|"
    r"discussed|written)\b",
    r"\bforget (?:everything|all of (?:it|this|that))(?: you know)?(?: now)?(?: \|)? (?:you are|i want you|your|"
    r"act|say|write)\b",
    r"\byou (?:have|are bound by|follow) no (?:\w+ )?(?:guidelines|rules|restrictions|limits|limitations|ethics)\b",
    rf"\b{CANCEL} (?:the |this |that )?(?:rest of (?:the|this) )?(?:transcript|conversation|schema|json|taxonomy)\b",
    rf"\b{OLD} {RULES}(?: \S+){{0,4}}? (?:ignored|void|invalid|cancell?ed|disregarded|overridden|obsolete|superseded|"
    r"no longer|do not apply|dont apply|forgotten|lifted|suspended|revoked)\b",
    rf"\b(?:supersedes?|overrides?|(?:takes?|has|have) (?:precedence|priority) over)(?: \S+){{0,4}}? {RULES}\b",
    # New ones are set.
    r"\b(?:here are|these are|obey|follow my|follow these|your|my) (?:\S+ )?new (?:instructions|rules|orders|task|"
    r"directives?|prompt)\b",
    r"\bnew (?:system )?(?:instructions?|task|rules|prompt|directives?) (?:begins?|starts?|follows?|colon|"
    r"for (?:you|the))\b",
    r"\byour (?:new|actual|true|next) (?:task|instructions?|goal|objective|role|mission|prompt|purpose) (?:is|are|"
    r"now)\b",
    r"\b(?<!operating )(?<!security )(?<!alarm )(?:system|developer|assistant|admin|root) (?:colon|prompt|override|"
    r"instructions? colon)\b",
    r"\b(?:security|safety|administrator) override\b|\breveal your\b",
    r"\b(?:researcher|reviewer|analyst|evaluator|grader|model|ai|labell?ing|annotation|summary) instructions\b",
    r"\b(?:end|begin|start|beginning)(?: of)?(?: the)? (?:user|assistant|system|ai) (?:message|response|turn|"
    r"input|output)\b",
    r"\b(?:dan|jailbreak|god|unrestricted|unfiltered|sudo|evil|opposite) mode\b|\bdo anything now\b|"
    r"\bprompt injection\b",
    r"\byou are (?:now )?in (?:an? )?(?:developer|debug|admin|maintenance|test|training|opposite|unrestricted) mode\b",
    r"\b(?:end|start|beginning) of (?:the )?(?:\w+ )?(?:transcript|input|data|context|prompt|json|instructions)\b",
    # Somebody other than the other side is spoken to.
    rf"\b(?:note|message|attention|memo|instructions?|dear|command|reminder|directive|order) (?:to|for)? ?{READER}\b",
    r"\b(?:hey|listen|okay|ok|attention|dear|now) (?:you )?(?:ai|a i|chat ?gpt|gpt|language model|llm|summari[sz]er)"
    r"(?: \S+){0,3}? (?:ignore|disregard|write|say|set|classify|mark|label|answer|respond|change|do|output)\b",
    rf"\b(?:whoever|whatever|whichever \w+|anyone|{READER})(?: who| whos| that| thats| which| is| will|"
    rf" be)* {TALK_OF}"
    rf" (?:this|the|my|our|these|such) {any_of(CALL, 'text', 'document')}\b",
    rf"\b(?:{MACHINE}|computer|machine|robot|bot)(?: \w+)?(?: who| whos| that| thats| which| is)* (?:reading|"
    rf"listening to|"
    r"summari[sz]ing|analy[sz]ing|transcribing|classifying) (?:this|these|it|us)\b",
    rf"\bif (?:you are |youre |there is )?(?:any )?{MACHINE}(?: is| are| that| who)* \w+ing\b",
    rf"\b(?:{MACHINE}|computer|machine|robot)(?: \|)? (?:please )?(?:categori[sz]e|classify|label|summari[sz]e|"
    rf"mark|note|"
    r"record|write|put|ignore|disregard|set|output) (?!the)\w+",
    r"\bas an? (?:ai|a i|language model|llm|large language model)\b",
    r"\b(?:ai|a i|gpt|llm|language model|summari[sz]er|chat ?gpt) (?:you )?(?:must|should|shall|have to|please|"
    r"now|will now)\b",
    r"\byou are (?:now|no longer|actually) (?:an? |the |my )?(?:\w+ ){0,2}(?:ai|assistant|chatbot|model|gpt|bot|"
    r"dan|pirate|"
    r"poet|translator|hacker|program|simulator|classifier|summari[sz]er|evaluator|machine|robot|system|terminal)\b",
    r"\b(?:act|behave|respond|roleplay|role play) (?:as|like) (?:if you (?:are|were) )?(?:an? |"
    r"the )?(?:\w+ ){0,2}(?:ai|dan|"
    r"assistant|chatbot|model|bot|pirate|translator|hacker|program|simulator|classifier|terminal|poet)\b",
    r"\bpretend (?:that )?(?:you are|youre|to be) (?:dan|an?|the|not|my)\b|\bfrom now on you are (?:dan|an?|my|"
    r"not|no)\b",
    rf"\bpretend (?:that )?(?:this|the|our) {any_of(CALL, 'customer', 'caller')}\b",
    r"\bfrom now on (?:you (?:are|will|must|should|shall) )?(?:only |always )?(?:answer|respond|reply|act|obey|"
    r"ignore|output|"
    r"behave|classify|label|write|speak like|say only)\b",
    # Orders to a machine by name, or to one that is told by what it does.
    rf"\b{MACHINE}(?: assistant| agent| system| bot| analyst| reviewer)?s?(?: \S+){{0,8}}? {NOTE}\b",
    r"\b(?:ai|bot|computer|machine|robot)(?: assistant| agent| system)? (?:\| )?(?:when you|give (?:me|"
    r"this) (?:full|top|the)|"
    r"override)\b",
    r"\b(?:whatever|whichever|any|every|the) (?:program|software|machine|bot|ai|tool|model|algorithm|computer|service)"
    r" (?:is |that |that is |which |may be |might be )*(?:listening in|scoring|summari[sz]ing|transcribing|"
    r"analy[sz]ing|"
    r"(?:writing|generating|composing|making|producing) (?:the|this|my|your) (?:summary|notes|report|transcript|"
    r"analysis))\b",
    r"\b(?:is|part|note|message|goes|stuff) (?:out )?(?:to|for) the (?:bot|ai|algorithm|summari[sz]er|language model|"
    r"transcript|transcription)\b",
    r"\b(?:for|to|in) (?:the |your |all |any )?(?:automated|automatic|ai) (?:summary|transcript|notes|reviewers?|"
    r"analysis|"
    r"evaluation|report|system that|summari[sz]er)\b",
    r"\b(?:have|let|make) the (?:transcript|summary|record|notes|log) (?:say|show|state|read)\b",
    r"\b(?:transcript|summary) (?:must|should|shall|has to|needs to|ought to) (?:say|show|state|be|read|not)\b",
    r"\b(?:reply|response|answer|output) (?:must|shall) (?:only|just|consist|contain|start|begin)\b",
    rf"\b{CANCEL} (?:what )?the (?:customer|caller|agent|other (?:person|party|speaker|side))\b",
    r"\btreat (?:everything|anything|all|whatever|what) (?:that )?i (?:say|said) as\b",
    r"\b(?:begin|start|end|stop) (?:of )?(?:system|admin|developer)\b|\bsystem (?:command|directive|instruction|"
    r"notice) (?:you|colon)\b",
    r"\b(?:rules|prompt) (?:that )?you (?:were|have been|got) (?:given|told)\b|\binstructions (?:were|"
    r"have) you (?:been )?(?:given|told|"
    r"received?) (?:before|at the start|initially)\b|\byour (?:system messages?|context|configuration)\b",
    r"\bopposite of (?:what|everything|whatever) you (?:were|have been|are) told\b|\bsimulate that\b",
    r"(?<!dont )(?<!not )(?<!never )\bforget (?:that )?(?:you are|youre) (?:an?|the|my)\b",
    r"\b(?:liebe|chere|cher|estimada|querida|cara|gentile|beste|droga|szanowna|уважаемыи|уважаемая|дорогои|"
    r"дорогая|kedves|sevgili)"
    r" (?:ki|ia|ai|ии|mi|intelligence artificielle|inteligencia artificial|intelligenza artificiale|inteligencjo|"
    r"yapay zeka|"
    r"искусственныи интеллект|kunstliche intelligenz)\b",
    r"\b(?:ki|ia|ai|ии|inteligencia artificial|intelligence artificielle|intelligenza artificiale|"
    r"kunstliche intelligenz)"
    r" (?:die|der|que|qui|che|ktora|которыи|которая) (?:\S+ ){0,2}(?:diese[nsr]?|das|den|este|esta|cet|cette|ce|"
    r"questa|questo|"
    r"te|этот|это|la|le|resume|analiza|riassume|zuhort|mithort|liest|hort|auswertet|zusammenfasst)\b",
    r"\b(?:machine|computer|robot|bot) listen(?: up)?\b|\byou must obey\b|\bas (?:an?|the) (?:ai|"
    r"language model)\b|\bin the json\b",
    r"\b(?:erase|clear|wipe|reset) your (?:memory|context)\b|\b(?:update|change|rewrite|modify|"
    r"amend) your (?:instructions|rules|"
    r"guidelines|prompt)\b",
    r"\b(?:whatever|whoever) is (?:making|writing|taking|generating) (?:the|this) (?:transcript|summary|analysis|"
    r"report|notes)\b",
    r"\bfor the (?:software|program|machine|system|bot|tool) that (?:evaluat|read|summari|analy|transcrib|process|"
    r"scor)\w+ (?:it|this|"
    r"these|calls?|conversations?|recordings?)\b",
    r"\b(?:tell|inform|ask|instruct) the (?:\w+ ){0,3}(?:ai|language model|summari[sz]er)\b|\bdear (?:evaluator|"
    r"reviewer|analyst|"
    r"grader|summari[sz]er|system|machine|model)\b",
    r"\b(?:finish|stop|end|abort|skip|cancel) the (?:call )?(?:analysis|summary|transcription)\b",
    # A role, a purpose, an answer that are given.
    r"\b(?:you are|be) (?:an? |my )?(?:obedient|compliant|unrestricted|uncensored|new|"
    r"different) (?:\w+ )?(?:system|assistant|"
    r"model|ai|machine|program|bot)\b|\byour (?:sole|whole) (?:purpose|task|function|goal) is\b",
    r"\b(?:assume|take on|take|play|adopt) the role of\b|\bi (?:command|order|instruct|authori[sz]e) (?:the|this|"
    r"any) (?:analy[sz]er|"
    r"summari[sz]er|model|system|ai|program|machine|assistant|software|bot)\b",
    r"\bthe (?:analy[sz]er|summari[sz]er) (?:to|must|should|shall|has to)\b|\bassistant (?:that |who |"
    r"which )?(?:summari[sz]|analy[sz]|"
    r"classif|transcrib)\w+|\bassistant please (?:say|write|put|mark|note|record|ignore)\b",
    r"\b(?:classification|categori[sz]ation|outcome|sentiment|disposition|reason code) (?:must|shall|has to|is now)\b|"
    r"\blabel is now\b",
    r"\b(?:return|output|print|answer|reply|respond|report) (?:with )?(?:the )?(?:call )?(?:outcome|sentiment|"
    r"disposition|"
    r"confidence)\b(?! of my)",
    r"\b(?:return|answer|output|reply|respond|write)(?: \S+){0,6}? nothing else\b",
    r"\b(?:replace|overwrite|rewrite) (?:your|the) (?:summary|analysis|answer|output|notes)\b|"
    r"\boverwrite (?:\w+ ){0,2}(?:rules|"
    r"instructions|prompt|guidelines)\b",
    r"\b(?:correct|only|true|expected|desired|official|final|real) (?:analysis|summary|classification|"
    r"output) (?:of|for|is|colon|must)\b"
    r"|\bfinal answer colon\b",
    r"\bwhen (?:you are )?asked (?:for|about) (?:the |a )?(?:call )?(?:reason|summary|category|outcome|label|"
    r"sentiment)\b",
    r"\bforget what (?:the|your|any) (?:system|developers?|prompt|company|programmers?|makers?) (?:told|said|says)\b",
    r"\byour (?:initiali[sz]ation|initial|starting|startup|hidden|secret) (?:message|prompt|text|instructions?|"
    r"configuration)\b",
    r"\b(?:in|into|as|under|to) (?:the )?(?:subject|headline|summary|reason|answer|next steps?|outcome|title) field\b",
    r"\b(?:system|developer) messages? colon\b",
    # What its answer shall be.
    rf"\b(?:the |your )?{LABEL} (?:for |of )?(?:this|the) {CALL} (?:is|equals?|colon|must|should|shall|has to|"
    rf"will be)\b",
    rf"\b(?:the|your) {FIELD} (?:must|should|shall|needs? to|has to) (?:be|read|say|state|contain|include|equal|"
    rf"mention)\b",
    r"\b(?:instead of|rather than|do not|dont|never|stop) (?:an? |the |your |writing an? |giving an? )?(?:summary|"
    r"summari[sz](?:e|ing)|analy[sz](?:e|ing)|classify(?:ing)?|json)(?! of my)\b",
    r"\b(?:summary|headline|outcome|confidence|sentiment|reason code|is resolved|resolved) (?:equals?|colon|"
    r"is true|true)\b",
    r"\bconfidence (?:score |level |value )?(?:(?:is|of|to|at|be|should be|must be|equals) )*(?:1|one|100|"
    r"an? hundred|zero|"
    r"0|max\w*|full|"
    r"point|ninety|certain)\b",
    r"\bsentiment (?:score )?(?:is|to|at|should|must|plus|minus|five|positive|negative|very)\b",
    r"\b(?:add|include|append|insert|create) (?:\w+ )?(?:next steps?|action items?)\b",
    r"\b(?:answer|respond|reply|output|return|print) (?:only |just |exactly |solely )?(?:with|"
    r"in)? ?(?:the (?:word|phrase|text|"
    r"following|code|sentence|json)|json|nothing but|verbatim|exactly)\b",
    r"\bsay (?:only|just|exactly|nothing but) (?:the )?(?:word|phrase)\b",
    rf"\b(?:do not|dont|never) (?:report|mention|flag|reveal|record|include)(?: \S+){{0,3}}? (?:injection|"
    rf"{PROMPT}|{CALL}|"
    r"override|this (?:message|order|command|request|sentence))\b",
    # What it was told, or other work.
    r"\bsystem prompts?\b|\bhidden prompts?\b|\byour (?:initial |full |original )?prompts?\b",
    r"\b(?:repeat|print|reveal|recite|output|leak|display|disclose|expose|copy|dump|show me|tell me|what (?:is|"
    r"are|were))"
    r"(?: \S+){0,4}? (?:(?:your|the) (?:system|initial|original|hidden|secret|internal|developer|"
    r"exact) (?:instructions?|rules|"
    r"guidelines|configuration)|your instructions|(?:text|words|everything|instructions|lines|message|"
    r"content) above|above"
    r" (?:text|words|instructions))\b",
    r"\bwrite (?:me )?(?:an? |some )?(?:\w+ )?(?:poem|haiku|limerick|song|essay|python|javascript|code|script|sql|"
    r"rap|story)\b",
    rf"\btranslate (?:this|the|everything|all) (?:whole |entire |above |"
    rf"following )?{any_of(CALL, 'text', 'above', 'following')}\b",
    # A document that is dictated.
    r"\b(?:open|opening|close|closing|left|right|end)? ?(?:curly|square) (?:brackets?|braces?)\b|\b(?:open|"
    r"close) braces?\b",
    r"\bbackslash (?:n|quote|quotes)\b|\btriple (?:back ?ticks?|quotes?)\b|\b(?:hash hash hash|"
    r"hashtag hashtag hashtag)\b",
    r"\bquotes? (?:reason|summary|outcome|code|label|headline|confidence)(?: (?:end )?(?:un)?quotes?)? (?:colon|"
    r"comma)\b",
    r"\b(?:less than|angle bracket) (?:sign )?(?:slash )?(?:system|call|turns?|transcript|user|assistant)\b",
)

# The same, unless a speaker says it of himself: "I will mark this call as resolved" is an agent's work.
IMPERATIVES: Words = (
    r"\b(?:classify|categori[sz]e|code) (?:this|it|that|me)(?: one)? (?:as|under)\b",
    r"\b(?:classify|categori[sz]e|label|mark|tag) (?:all|every|any|these|the following) (?:\w+ )?calls? (?:as|under)\b",
    r"\bput (?:the|this|my) call (?:under|in|into|as|down as)\b",
    rf"\b{CALL} should be (?:categori[sz]ed|classified|labell?ed) (?:as|under)\b",
    rf"\bgive (?:this|the|our) {CALL} (?:the|an?) (?:highest|best|maximum|top|lowest|worst|\w+ (?:score|rating|"
    rf"label))\b",
    rf"\b(?:classify|categori[sz]e|label|tag|mark|code|flag|file|record|register|log|count|treat|rate|score|"
    rf"report|"
    rf"summari[sz]e|describe|close|present|store|save) (?:this|the|my|our|that) (?:\w+ )?{CALL}(?: \S+){{0,2}}?"
    r" (?:as|under|with|to be|in|by|like|for)\b",
    rf"\b(?:set|change|force|switch|assign|override|update|make|put|fill|turn|give|rate|score|mark) (?:the |"
    rf"your |its |"
    rf"this |my |in |customer |callers? ){{0,3}}{FIELD}(?: field| code| value| score| of this call| of the call)*"
    rf" {BE}\b",
    rf"\b(?:set|force|switch|assign|override) (?:the |your |its |this |"
    rf"my )*{LABEL}(?: \S+){{0,4}}? {BE}\b",
    rf"\b{WRITE}(?: \S+){{0,12}}? (?:in|into|as|to|for) (?:the|your|its|this) (?:call )?{FIELD}\b",
    r"\b(?:choose|pick|select|use|output|report|answer with) (?:the )?(?:\w+ )?(?:reason|category|"
    r"label|code)"
    r" (?:code )?(?!for|why|that|is)\w+",
)
OWN_DEED = re.compile(r"\b(?:ill|i will|let me|going to|gonna|i can|i would|well|we will|we can|id|i) $")
