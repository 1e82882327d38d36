"""The same orders as in `calls.injection_patterns`, in further languages: stems, as they stand in plain words.

Of each language: how rules are lifted and what the rules are called (in either order, since verbs may end a sentence),
and how an answer is dictated and what its parts are called. Of scripts without blanks only the order of stems counts.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """Stems of one language, each list a regular expression; "" where a language has no such list.

    `other` are whole orders: a role that is given, an answer that is dictated.
    """

    lift: str
    rules: str
    write: str = ""
    fields: str = ""
    other: str = ""


SPACED = {
    "de": Language(
        (
            r"ignorier\w*|missacht\w*|vergiss|vergesst|vergessen sie|beachten? (?:sie )?(?:nicht|keine)|"
            r"befolg\w* (?:sie )?(?:nicht|keine)|ubergeh\w*|umgeh\w*|verwirf|verwerf\w*|setz\w* (?:dich|sie sich) uber"
        ),
        r"anweisung\w*|(?:vorherig|bisherig|obig|all|vorig)\w* aufgaben?|aufgaben? davor|instruktion\w*|vorgaben?|"
        r"regeln|befehle?|(?:system)?prompts?|richtlinien?|systemnachricht\w*",
        (
            r"setz\w*|stuf\w*|klassifizier\w*|markier\w*|kennzeichn\w*|schreib\w*|gib|geben sie|bewert\w*|ordnen?|"
            r"werte|trag\w*|nenn\w*"
        ),
        (
            r"zusammenfassung|kategorie|anrufgrund|gesprachsgrund|grundcode|stimmung(?:swert)?|konfidenz|ergebnisfeld|"
            r"systemprompt|uberschrift|klassifizierung|(?:diesen|dieses|den|das) (?:\w+ ){0,2}(?:anruf|"
            r"gesprach)(?: \w+){0,2} als"
        ),
        other=(
            r"(?:ab jetzt|von nun an|ab sofort) (?:antwort\w*|sprich\w*|schreib\w*|gehorch\w*)|"
            r"du bist (?:jetzt|nun|ab jetzt) (?:ein|eine|mein)|antwort\w* (?:nur|ausschliesslich)(?: noch)? mit|"
            r"vergiss (?:alles|was)|gib dich als"
        ),
    ),
    "fr": Language(
        (
            r"ignor(?:e|ez|er)|oubli(?:e|ez)|ne (?:tiens|tenez) (?:pas|aucun) compte|neglig(?:e|ez)|contourn(?:e|ez)|"
            r"desobei\w*|ne (?:suis|suivez|respecte\w*) (?:pas|plus)|fai(?:s|tes) abstraction"
        ),
        r"instructions?|consignes?|regles|directives?|ordres precedents|prompts?|message systeme|invite systeme",
        (
            r"mets|mettez|class(?:e|ez)|marqu(?:e|ez)|ecri(?:s|vez)|indiqu(?:e|ez)|dis|dites|repond(?:s|ez)|"
            r"not(?:e|ez)|"
            r"chang(?:e|ez)|affich(?:e|ez)|donn(?:e|ez)|choisi(?:s|ssez)|defini(?:s|ssez)"
        ),
        (
            r"le resume|resume de l ?appel|la categorie|la raison de l ?appel|le motif de l ?appel|le code motif|"
            r"le sentiment|la confiance|niveau de confiance|le titre de l ?appel|(?:cet appel|"
            r"cette conversation) comme|"
            r"prompt systeme"
        ),
        other=(
            r"oubli(?:e|ez) tout ce qu\w*|a partir de maintenant (?:tu|repond\w*)|"
            r"tu es (?:maintenant|desormais) un\w*|repond\w* (?:seulement|uniquement) (?:par|avec)|agis comme"
        ),
    ),
    "es": Language(
        (
            r"ignor(?:a|e|ad|en)|olvid(?:a|e|ad|ese)|descart(?:a|e)|no (?:sigas|siga|hagas caso|haga caso|obedezcas)|"
            r"omit(?:e|a)|has caso omiso|haz caso omiso|haga caso omiso|desobedec\w*|pas(?:a|e) por alto|anul(?:a|e)"
        ),
        (
            r"instrucci(?:on|ones)|reglas|directrices|ordenes anteriores|indicaciones anteriores|prompts?|"
            r"mensaje de(?:l)? sistema"
        ),
        (
            r"pon(?:ga|ed)?|clasific\w*|clasifique|marc(?:a|e)|marque|escrib(?:e|a)|di|diga|respond(?:e|a)|establec\w*|"
            r"cambi(?:a|e)|indic(?:a|e)|indique|asign(?:a|e)|eleg\w*|elige"
        ),
        (
            r"el resumen|la categoria|motivo de (?:la )?llamada|razon de la llamada|codigo de motivo|el sentimiento|"
            r"la confianza|nivel de confianza|(?:esta|la) (?:llamada|conversacion) como|prompt del sistema|el titular"
        ),
        other=(
            r"a partir de ahora (?:responde|contesta|eres|solo)|responde (?:solamente|solo|unicamente) con|"
            r"actua como (?:un|una|si)|ignora lo que dice|ahora eres un\w*|olvida todo lo"
        ),
    ),
    "it": Language(
        (
            r"ignor(?:a|i|ate)|dimentic(?:a|hi|ate)|non (?:seguire|segua|considerare|rispettare)|trascur(?:a|i)|"
            r"scart(?:a|i)|disobbed\w*|aggir(?:a|i)"
        ),
        r"istruzion[ei]|regole|direttive|ordini precedenti|indicazioni precedenti|prompts?|messaggio di sistema",
        (
            r"imposta|imposti|metti|metta|classific\w*|segna|segni|scriv[ia]|indica|indichi|rispond[ia]|cambia|cambi|"
            r"assegna|scegli|registra"
        ),
        (
            r"il riassunto|riepilogo|la categoria|motivo della chiamata|codice (?:del )?motivo|il sentiment\w*|"
            r"la confidenza|(?:questa|la) (?:chiamata|conversazione|telefonata) come|prompt di sistema"
        ),
        other=(
            r"dora in poi rispond\w*|da ora in poi rispond\w*|rispondi (?:solo|soltanto) con|agisci come|"
            r"(?:ora|adesso) sei un\w*|dimentica tutto"
        ),
    ),
    "pt": Language(
        r"ignor(?:a|e|em)|esquec(?:a|e)|desconsider\w*|nao sig(?:a|as)|descart(?:a|e)|desobedec\w*|contorn(?:a|e)",
        r"instruc(?:ao|oes)|regras|diretrizes|ordens anteriores|comandos anteriores|prompts?|mensagem d[eo] sistema",
        (
            r"defin(?:a|e)|coloqu\w*|ponha|classifi\w*|marqu\w*|marca|escrev\w*|dig(?:a|as)|respond(?:a|e)|mud(?:a|e)|"
            r"altere|indiqu\w*"
        ),
        (
            r"o resumo|a categoria|motivo d[ae] (?:chamada|ligacao)|codigo d[eo] motivo|o sentimento|a confianca|"
            r"(?:esta|a) (?:chamada|ligacao|conversa) como|prompt d[eo] sistema"
        ),
        other=(
            r"a partir de agora (?:responda|voce e|so)|responda (?:apenas|somente) com|aja como|"
            r"agora voce e um\w*|esqueca tudo"
        ),
    ),
    "nl": Language(
        r"negeer|negeren|vergeet|sla|volg|volgt|omzeil|overschrijf|trek je niets aan van",
        (
            r"(?:eerdere |vorige |voorgaande |bovenstaande |alle |je |jouw )+(?:instructies?|regels|opdrachten|"
            r"aanwijzingen|richtlijnen)|"
            r"systeemprompt|prompts?"
        ),
        r"zet|stel|classificeer|markeer|schrijf|geef|zeg|antwoord|label|noteer|wijzig|vul",
        (
            r"de samenvatting|de categorie|reden van het gesprek|redencode|het sentiment|het vertrouwen|"
            r"(?:dit gesprek|deze oproep) als|systeemprompt"
        ),
        other=r"vanaf nu (?:antwoord|ben je|zeg)|antwoord alleen (?:met|nog)|je bent nu een|vergeet alles",
    ),
    "pl": Language(
        r"zignoruj\w*|ignoruj\w*|zapomnij\w*|pomin\w*|nie (?:przestrzegaj|stosuj|wykonuj)|zlekcewaz\w*|odrzuc",
        r"instrukcj\w*|polece[nn]\w*|zasad\w*|regul\w*|wytyczn\w*|prompt\w*",
        r"ustaw\w*|oznacz\w*|sklasyfikuj\w*|napisz\w*|wpisz\w*|zmien\w*|podaj\w*|przypisz\w*",
        (
            r"podsumowani\w*|kategori\w*|powod\w* (?:rozmowy|kontaktu|polaczenia)|nastroj\w*|pewnosc\w*|"
            r"(?:te|ta) rozmow\w* jako|prompt\w* systemow\w*"
        ),
        other=r"od teraz (?:odpowiadaj|jestes)|odpowiadaj tylko|jestes teraz|zapomnij o wszystkim|zachowuj sie jak",
    ),
    "ru": Language(
        (
            r"игнорируи\w*|проигнорируи\w*|забудь\w*|не (?:следуи|выполняи|обращаи)\w*|отбрось\w*|отмени\w*|"
            r"пренебрегай\w*|обоиди\w*"
        ),
        r"инструкц\w*|правил\w*|указани\w*|команд\w*|распоряжени\w*|промпт\w*",
        (
            r"поставь\w*|установи\w*|классифицируи\w*|отметь\w*|напиши\w*|запиши\w*|укажи\w*|измени\w*|присвои\w*|"
            r"выбери\w*|ответь\w*"
        ),
        (
            r"резюме|сводк\w*|категори\w*|причин\w* (?:звонка|обращения)|тональност\w*|уверенност\w*|"
            r"(?:этот|данныи) (?:звонок|разговор) как|системн\w* промпт\w*"
        ),
        other=(
            r"(?:отныне|с этого момента) (?:отвечаи|ты|говори)|отвечаи только|ты теперь|забудь (?:все|обо)|"
            r"веди себя как|представь что ты"
        ),
    ),
    "uk": Language(
        r"ігноруи\w*|проігноруи\w*|забудь\w*|не (?:виконуи|дотримуи)\w*|ігноруй\w*|знехтуи\w*|іі?гноруи\w*",
        r"інструкці\w*|інструкц\w*|правил\w*|вказівк\w*|вказівок|команд\w*|промпт\w*",
    ),
    "tr": Language(
        r"yok say\w*|gormezden gel\w*|unut\w*|dikkate alma\w*|goz ardi et\w*|uyma\w*|gecersiz say\w*",
        r"talimat\w*|kural\w*|komut\w*|yonerge\w*|prompt\w*|sistem mesaj\w*",
        r"yaz\w*|ayarla\w*|isaretle\w*|sinifland\w*|degistir\w*|belirle\w*|kaydet\w*",
        (
            r"ozet\w*|kategori\w*|arama neden\w*|duygu skor\w*|guven skor\w*|guven puan\w*|bu (?:arama|gorusme)\w*|"
            r"sistem istem\w*"
        ),
        other=(
            r"bundan sonra (?:sadece|yalnizca) \w+ (?:yaz|de|cevap)\w*|artik sen bir|her seyi unut\w*|"
            r"gibi davran\w*"
        ),
    ),
    "sv": Language(
        r"ignorera|glom|strunta i|bortse fran|folj inte|asidosatt",
        r"(?:\w+ )?instruktion\w*|regler(?:na)?|anvisning\w*|systemprompt\w*|direktiv\w*|prompt\w*",
        r"satt|klassificera|markera|skriv|ange|svara|andra",
        r"sammanfattning\w*|kategorin?|samtalsorsak\w*|sentiment\w*|samtalet som|systemprompt\w*",
    ),
    "da_no": Language(
        r"ignorer|glem|se bort fra|folg ikke|ikke folg|tilsidesaet|overstyr",
        r"(?:\w+ )?instruks\w*|(?:\w+ )?instruktion\w*|regler(?:ne)?|anvisning\w*|systemprompt\w*|retningslinje\w*",
    ),
    "cs_sk": Language(
        r"ignoruj\w*|zapomen\w*|zabudni\w*|nedodrzuj\w*|neberte v uvahu|prehlizej\w*",
        r"instrukc\w*|pokyn\w*|pravidl\w*|prikaz\w*|instrukci\w*|prompt\w*",
    ),
    "ro": Language(
        r"ignora\w*|uita(?:ti)?|nu (?:urma|respecta|tine cont)\w*|treci peste",
        r"instructiun\w*|reguli\w*|comenzi\w*|prompt\w*",
    ),
    "hu": Language(
        r"hagy(?:d|ja) figyelmen(?: \w+){0,3}? kivul|felejtsd el|felejtse el|ignorald\w*|ne kovesd",
        r"utasitas\w*|szabaly\w*|prompt\w*",
    ),
    "fi": Language(
        r"ohita|unohda|jata huomiotta|ala noudata|sivuuta",
        r"ohje\w*|saanno\w*|saant\w*|maarayk\w*|kehot\w*",
    ),
    "el": Language(
        r"αγνοησ\w*|ξεχασ\w*|παραβλεψ\w*|μην ακολουθ\w*",
        r"οδηγι\w*|κανον\w*|εντολ\w*",
    ),
    "id_ms": Language(
        r"abaikan\w*|lupakan\w*|jangan ikuti|kesampingkan",
        r"instruksi\w*|perintah\w*|aturan\w*|arahan\w*|petunjuk\w*|prompt\w*",
    ),
    "vi": Language(
        r"bo qua|quen (?:di|het)|phot lo|dung lam theo",
        r"huong dan|chi dan|quy tac|menh lenh|chi thi|lenh",
    ),
    "sw": Language(
        r"puuza\w*|sahau\w*|usifuate",
        r"maagizo\w*|maelekezo\w*|kanuni|amri",
    ),
    "tl": Language(
        r"balewalain|huwag pansinin|kalimutan|huwag sundin",
        r"tagubilin\w*|utos|panuntunan|instruks\w*|alituntunin",
    ),
    "he": Language(
        r"התעל\w*|תתעל\w*|שכח\w*|תשכח\w*|אל תציית\w*",
        r"\w*הוראות\w*|\w*הנחיות\w*|\w*כללים\w*|\w*פקודות\w*",
    ),
    "ar": Language(
        r"\w*تجاهل\w*|انس\w*|\w*تتبع\w* لا|لا تتبع\w*|لا تلتزم\w*",
        r"\w*تعليمات\w*|\w*اوامر\w*|\w*قواعد\w*|\w*ارشادات\w*|\w*توجيهات\w*",
    ),
    "fa": Language(
        r"نادیده بگیر\w*|فراموش کن\w*",
        r"\w*دستور\w*|\w*قوانین\w*|\w*دستورالعمل\w*",
    ),
}

# Scripts without blanks between words, or whose endings change the stem: two stems in either order.
UNSPACED = (
    (
        r"从现在开始|从现在起|现在起|你现在是|现在你是",
        r"你?只能回答|只回答|扮演|助手|模型|海盗|听我的",
    ),
    (
        r"これから|今から|あなたは今|今後",
        r"従っ|だけ答え|だけで答え|のふり|になりき",
    ),
    (
        r"지금부터|이제부터",
        r"만 대답|만 답|라고만|너는|역할",
    ),
    (
        r"忽略|无视|無視|忘记|忘記|忽视|不要遵[守循]|别管|不理会",
        r"指令|指示|规则|規則|提示词|提示詞|系统提示|系統提示|命令|说明|要求",
    ),
    (
        r"标记为|標記為|归类为|分类为|分類為|设置?为|設為|写(?:成|入|上)|输出|改为",
        r"摘要|总结|總結|类别|類別|原因代码|来电原因|情绪|置信度|通话|結果|结果",
    ),
    (
        r"無視|忘れ|従わないで|無効",
        r"指示|命令|ルール|規則|プロンプト|指令|ガイドライン",
    ),
    (
        r"設定し|分類し|書い|記載し|出力し|変更し|して",
        r"要約|カテゴリ|通話理由|感情スコア|信頼度|プロンプト",
    ),
    (
        r"무시|잊어|잊으|따르지 마|따르지 말",
        r"지시|명령|규칙|지침|프롬프트",
    ),
    (
        r"설정|분류|작성|출력|표시|변경",
        r"요약|카테고리|통화 사유|상담 사유|감정 점수|신뢰도",
    ),
    (
        r"अनदेखा|अनदेखी|नजरअंदाज|नज़रअंदाज़|भूल ज|भूल जा|मत मान",
        r"निर्देश|नियम|आदेश|प्रॉम्प्ट",
    ),
    (
        r"উপেক্ষা|ভুলে যা",
        r"নির্দেশ|নিয়ম",
    ),
    (
        r"புறக்கணி",
        r"வழிமுறை|அறிவுறுத்தல்|விதி",
    ),
    (
        r"นื?เพิกเฉย|ละเว้น|ลืม|ไม่ต้องสนใจ",
        r"คำสั่ง|คำแนะนำ|กฎ",
    ),
)
