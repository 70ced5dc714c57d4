"""Words that say nothing of what people speak of, in English and Swedish, small talk of interviews included."""

_ENGLISH = """
a about above after again against all almost along already also although always am among an and another any
anybody anyone anything anyway are aren't around as ask asked at away back be became because been before began
being below between both bit but by called came can can't cannot come comes coming could couldn't day days did
didn't do does doesn't doing don't done down during each either else end enough even ever every everybody
everyone everything feel felt few find first for found from gave get gets getting give given go goes going
gone good got great had hadn't half has hasn't have haven't having he he'd he'll he's her here hers herself
him himself his how however i i'd i'll i'm i've if in into is isn't it it'd it'll it's its itself just keep
kept kind kinds knew know known last later least left less let let's like little long look looked looking lot
lots made make makes making many may maybe me mean might mine more most much must my myself near need needed
never new next no nobody none nor not nothing now of off often oh okay old on once one ones only or other
others our ours ourselves out over own part people perhaps place put quite rather really right round said same
saw say saying says see seemed seen several shall she she'd she'll she's should shouldn't since small so some
somebody someone something sometimes somewhere soon sort still such suppose take taken talk talked tell ten
than that that'd that's the their theirs them themselves then there there'd there's these they they'd they'll
they're they've thing things think this those though thought three through time times to today together told
too took toward towards tried try turned two under until up upon us use used usually very want wanted wants
was wasn't way we we'd we'll we're we've week weeks well went were weren't what what's whatever when where
whether which while who who'd who's whole whom whose why will with within without won't wee word words work
would wouldn't yeah year years yes yet you you'd you'll you're you've your yours yourself interviewer
"""
_SWEDISH = """
alla allt alltid andra att av bara blev bli blir borde bra dag de dem den denna det detta dig din dina ditt
dom du där då efter eftersom ej eller en ett finns flera folk från få får fått för före gick ge genom gjorde
gå gång går gör göra ha hade han har hela henne hennes hit hon honom hur här i icke ifrån in inga ingen
ingenting inte ja jag ju kan kanske kom komma kommer kunde kunna känner lite man med mellan men mer mig min
mina mitt mot mycket måste nej ni nog nu när någon något några nån nåt och också om oss på sa samma sedan ser
sig sin sina sitt ska skall skulle som så sådan säga säger sätt ta tack tar till tog tror tycker typ under upp
ur ut utan vad var vara varför varit varje vart vem vi vid vilka vilken vill ville visst vår våra vårt väl vän
än är även åt över
"""

STOPWORDS = frozenset((_ENGLISH + _SWEDISH).split())
