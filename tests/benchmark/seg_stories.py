"""Interviews made of stories with known boundaries, within the vocabulary of the ``demo`` model.

What makes a story: one storyteller, 5 to 14 sentences, one of the ``SUBJECTS`` below. The sample collection's
grammar (``tools/checkpoint/grammar.toml``) is cut down for it: the rules that carry a subject (what is done, used,
eaten, where, by which trade) hold the subject's phrases only, and two persons, one place, one group, a few feelings
are all that it knows of them. About one sentence in four has no phrase of the subject at all ("At first, I felt
tired."), as people talk. Half of the stories begin with a question of the interviewer, half have one in their middle;
half of the latter do not name the subject. Half of the subjects are for development, half for the test; an interview
has none twice.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tools.checkpoint import text

PLAIN_SHARE = 0.25
OPENING_SHARE, MIDDLE_SHARE = 0.5, 0.5
LONGEST_WORDS = 16

SUBJECTS: dict[str, dict[str, str]] = {
    "kitchen": {
        "topic": "nutrition | food banks",
        "thing": "soup and sandwiches | a hot meal | a lunch club | a community kitchen",
        "act": "baking bread | cooking broth | making lentil soup | eating scones | delivering meals",
        "inf": "cook mince and tatties | make pancakes | deliver meals",
        "object": "kettle | teapot | recipe | apron",
        "food": "scones | lentil soup | porridge | apple crumble | gingerbread | oatcakes",
        "room": "bakery | canteen | cafe | dining room",
        "job": "baker | chef | dinner lady",
    },
    "garden": {
        "topic": "biodiversity | recycling | climate change",
        "thing": "a garden project | a community garden | the spade and the rake",
        "act": "growing vegetables | planting trees | picking brambles | digging the garden | gardening",
        "inf": "grow vegetables | plant trees",
        "object": "spade | rake | wheelbarrow | greenhouse | polytunnel | compost heap",
        "food": "potatoes | carrots | kale | tomatoes | rhubarb | strawberries",
        "room": "allotment | greenhouse | shed",
        "job": "gardener",
    },
    "farm": {
        "topic": "farming | crofting",
        "thing": "a lamb | a pony | the tractor",
        "act": "milking cows | feeding the hen | walking the collie | feeding the lamb",
        "inf": "feed the sheep | feed the goat",
        "object": "tractor | bucket | fence | gate",
        "animal": "cow | sheep | lamb | pony | goat | collie | hen",
        "room": "farmyard | croft | glen",
        "job": "farmer | shepherd | crofter",
    },
    "music": {
        "topic": "folk music",
        "thing": "a choir | a concert | a ceilidh | a music session | a song | a rehearsal",
        "act": "singing together | playing music | playing the fiddle | practising scales | dancing",
        "inf": "play the piano | play the accordion | sing in the hallway",
        "object": "fiddle | piano | accordion | guitar | bagpipes | drum | whistle",
        "room": "pub | theatre | studio",
        "job": "musician | piper | singer | fiddler",
    },
    "ward": {
        "topic": "anaesthetics | organ donation | infection control",
        "thing": "an operation | a blood test | a scan | an injection | a diagnosis",
        "act": "waiting for results | recovering from sepsis | wearing a mask",
        "inf": "wait for the results | recover from pneumonia",
        "object": "stethoscope | syringe | bandage | oxygen mask | ventilator | thermometer",
        "condition": "pneumonia | sepsis | kidney failure | a heart attack",
        "room": "operating theatre | treatment room | waiting room",
        "job": "surgeon | ward sister | consultant | night porter",
    },
    "dementia": {
        "topic": "dementia | respite | carers",
        "thing": "respite care | a memory box | a proper break | home care | a photo album",
        "act": "caring full time | living with dementia | taking a break | coping with dementia",
        "inf": "live with dementia | take a break | remember everything",
        "object": "photograph | calendar | pill box | wristwatch",
        "condition": "dementia",
        "room": "nursery | lounge | bedroom",
        "job": "home carer | care assistant | key worker",
    },
    "online": {
        "topic": "digital skills | broadband | passwords | data protection | telehealth",
        "thing": "a tablet | a laptop | a video call | better internet | an online group",
        "act": "using a tablet | joining online meetings | making phone calls | learning new skills",
        "inf": "use a tablet | join online meetings | work from home",
        "object": "computer | keyboard | headphones | microphone | charger | telephone",
        "room": "office | library",
        "job": "engineer | researcher",
    },
    "sea": {
        "topic": "ferry services | fishing",
        "thing": "a salmon | the rowing boat | the fishing rod",
        "act": "fishing for herring | swimming in the loch",
        "inf": "swim in the loch",
        "object": "rowing boat | fishing rod | raincoat | bucket",
        "food": "herring | mussels | salmon | fish and chips",
        "animal": "seal | otter | puffin | seagull",
        "room": "harbour | pier | beach | ferry terminal",
        "weather": "gale | storm | mist",
        "job": "fisherman | sailor",
    },
    "housing": {
        "topic": "homelessness | housing | rent arrears | fuel poverty | heating bills",
        "thing": "a council flat | a sheltered flat | a spare room | a mortgage",
        "act": "cleaning the attic | filling in forms | sitting in the tenement",
        "inf": "clean the staircase | move to the tenement | pay the bills",
        "object": "key | doorbell | mattress | carpet | curtain | handrail",
        "room": "tenement | staircase | attic | cellar | hallway",
        "job": "caretaker | warden | plumber | joiner | electrician",
    },
    "school": {
        "topic": "education | literacy | numeracy | childhood | apprenticeships",
        "thing": "a book group | a reading group | a certificate",
        "act": "reading aloud | studying nursing | learning new skills",
        "inf": "study nursing | learn new skills",
        "object": "pencil | notebook | dictionary | whiteboard | certificate",
        "room": "classroom | playground | archive",
        "job": "lecturer | librarian | student nurse | trainee",
    },
    "money": {
        "topic": "universal credit | council tax | poverty | funding",
        "thing": "a bank loan | a pension | benefits advice | a budget | a small grant",
        "act": "paying the bills | counting pennies | filling in forms | raising money",
        "inf": "pay the bills | raise money | fill in the forms | afford a pension",
        "object": "purse | wallet | envelope | form",
        "room": "post office | supermarket | market",
        "job": "accountant | shopkeeper | treasurer",
    },
    "loss": {
        "topic": "loss and grief | end of life care | hospice care | religion",
        "thing": "a funeral | a prayer | a card",
        "act": "saying goodbye | letting go",
        "inf": "say goodbye | hold hands",
        "object": "candle | hymn book | bible | prayer book | portrait",
        "room": "chapel | cemetery | hospice",
        "job": "minister | chaplain | priest",
    },
    "football": {
        "topic": "football | shinty | curling | exercise",
        "thing": "the football | a trophy | the medal | flexible hours",
        "act": "cycling to the gym | swimming in the loch | walking outside",
        "inf": "play the football | slow down",
        "object": "football | trophy | medal | whistle | skipping rope | bicycle",
        "room": "football pitch | gym | swimming pool",
        "job": "coach | policeman",
    },
    "crafts": {
        "topic": "creativity | storytelling",
        "thing": "a craft class | the needle and the thimble | a workshop",
        "act": "knitting | stitching quilts | crocheting blankets | sewing masks | whittling spoons",
        "inf": "knit a jumper | mend the quilt",
        "object": "needle | thimble | quilt | tapestry | jumper | cardigan | scarf",
        "room": "workshop | studio",
        "job": "tailor | weaver | potter | carpenter",
    },
    "bus": {
        "topic": "rural transport | transport | road safety",
        "thing": "a bus pass | free transport | a bus trip | the ticket and the timetable",
        "act": "waiting at the bus stop | walking outside",
        "inf": "drive to the station | drive to the airport",
        "object": "timetable | ticket | passport | suitcase | rucksack",
        "room": "bus stop | station | roundabout | car park",
        "job": "bus driver | taxi driver | mechanic | delivery driver",
    },
    "birth": {
        "topic": "pregnancy | childbirth | maternity services | adoption | fostering",
        "thing": "a christening | the teddy bear | a scan",
        "act": "supporting new mothers | feeding toddlers | adopting children",
        "inf": "support new mothers | feed toddlers",
        "object": "teddy bear | doll | birth certificate | blanket",
        "condition": "postnatal depression",
        "room": "nursery | playground",
        "job": "midwife | health visitor | childminder | foster carer",
    },
    "stage": {
        "topic": "photography | theatre | poetry | journalism",
        "thing": "a poem | a photo album | the camera",
        "act": "taking photographs | writing poetry | recording interviews | painting",
        "inf": "take photographs | write poetry",
        "object": "camera | photograph | portrait | paintbrush | magazine",
        "room": "theatre | cinema | museum | studio",
        "job": "photographer | poet | artist | journalist",
    },
    "justice": {
        "topic": "justice | prison | policing | human rights | trade unions",
        "thing": "legal advice | a petition | a complaint | an apology",
        "act": "signing petitions | telling the truth",
        "inf": "speak openly | challenge racism | prevent violence",
        "object": "banner | badge | clipboard | key",
        "room": "office | corridor",
        "job": "solicitor | advocate | policeman | campaigner",
    },
    "virus": {
        "topic": "the vaccine | testing | infection control | vaccination",
        "thing": "masks and gloves | an injection | a blood test",
        "act": "wearing a mask | washing our hands | staying at home",
        "inf": "stay at home | stay safe",
        "object": "thermometer | gloves | soap | syringe",
        "condition": "long Covid | a fever | a bad cough | flu",
        "room": "surgery | pharmacy",
        "job": "pharmacist | paramedic | district nurse",
    },
    "recovery": {
        "topic": "rehabilitation | physiotherapy | recovery",
        "thing": "a short walk | the right equipment | the wheelchair and the ramp",
        "act": "recovering from a stroke | coping with chronic pain",
        "inf": "recover from a stroke | live with arthritis | recover",
        "object": "wheelchair | walking stick | zimmer frame | stairlift | hoist | ramp",
        "condition": "a stroke | a broken hip | arthritis | a brain injury",
        "room": "gym | lift | corridor",
        "job": "physiotherapist | occupational therapist | speech therapist",
    },
    "language": {
        "topic": "Gaelic | language | immigration | diversity",
        "thing": "the dictionary | a joke | a letter",
        "act": "learning Gaelic | supporting refugees | welcoming newcomers",
        "inf": "speak Gaelic | welcome refugees",
        "object": "dictionary | newspaper | passport | postcard",
        "room": "classroom | mosque",
        "job": "translator | interpreter",
    },
    "hills": {
        "topic": "climate change | renewable energy",
        "thing": "a walking group | a picnic | a short walk | a day out",
        "act": "climbing hills | walking outside",
        "inf": "climb hills | go outside",
        "object": "rucksack | torch | raincoat | hat | umbrella",
        "animal": "deer | eagle | fox | hedgehog",
        "room": "hillside | forest | moor | glen | riverbank",
        "weather": "snow | sleet | fog | frost",
        "job": "shepherd",
    },
    "committee": {
        "topic": "leadership | commissioning | procurement | evaluation | regulation",
        "thing": "a meeting | a report | a survey | a grant application | a conference",
        "act": "chairing meetings | leading the team | running the centre | planning ahead",
        "inf": "lead the team | run the centre | make a plan",
        "object": "clipboard | questionnaire | leaflet | noticeboard",
        "room": "office",
        "job": "councillor | trustee | secretary | coordinator",
    },
    "senses": {
        "topic": "disability | inclusion | equality",
        "thing": "a listening ear | the hearing aid | the magnifying glass",
        "act": "living with sight loss | coping with hearing loss",
        "inf": "live with hearing loss | live with cataracts",
        "object": "hearing aid | spectacles | magnifying glass",
        "condition": "hearing loss | sight loss | cataracts | tinnitus",
        "room": "surgery | waiting room",
        "job": "optician",
    },
}  # fmt: skip
"""Subject -> what the grammar's rules may say of it; every word is in the grammar."""

DEVELOPMENT, TEST = tuple(SUBJECTS)[::2], tuple(SUBJECTS)[1::2]

_CARRY = {"topic", "thing", "act", "inf", "object", "food", "animal", "room", "condition", "weather", "job"}
_FRAMES = (
    "{clause}. | {clause}. | {clause}. | {clause}, and {clause}. | {clause}, but {clause}. | {clause} because {clause}."
    " | {opener}, {clause}. | {opener}, {clause}. | When {clause}, {clause}. | I think {clause}."
)
_COMMON = {
    "opener": "At first | Then | After that | In the end | To be honest | Looking back | Before long | One day | Often"
    " | Sometimes | Now | Suddenly | Luckily | Of course | Over time | Eventually | Afterwards | Meanwhile",
    "subj": "we | we | I | I | they | {group} | {person} | {person} | some of us | everyone | people",
    "vt": "helped | thanked | met | spoke to | worked with | listened to | remembered | trusted | visited | phoned",
    "vi": "help | thank | meet | speak to | work with | listen to | remember | trust | visit | phone",
    "ving": "helping | thanking | meeting | listening to | working with | visiting | remembering",
    "where": "in {place} | in the {room} | at the {room} | near the {room} | at home",
    "pp": "{time} | {where} | with {group} | with {person} | together | on our own | with a smile | {manner}",
}
_DRAWN = {
    "person": 2,
    "place": 1,
    "group": 1,
    "feel": 3,
    "posn": 2,
    "negn": 2,
    "time": 3,
    "manner": 3,
    "adj": 4,
}
_HOLDER = re.compile(r"\{(\w+)\}")
_PLAIN_QUESTIONS = (
    "How did that make you feel?", "How are you feeling now?", "What are you most proud of?",
    "Did you ever feel {feel}?", "Do you still feel {feel}?", "What helped you?", "What keeps you going?",
    "Would you do it again?", "{person}, how did she cope?",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A sentence, who says it (0 is the interviewer), and the number of its story."""

    speaker: int
    text: str
    story: int


def interview(seed: int, subjects: tuple[str, ...], least: int = 5, most: int = 8) -> tuple[Line, ...]:
    """So many stories one after the other, told by one to three storytellers."""
    draw = random.Random(f"interview {seed}")
    tellers = draw.randint(1, 3)
    chosen = draw.sample(subjects, draw.randint(least, most))
    lines: list[Line] = []
    for number, subject in enumerate(chosen):
        teller = draw.randint(1, tellers)
        lines += [Line(teller if told else 0, said, number) for told, said in _story(draw, SUBJECTS[subject])]
    return tuple(lines)


def _story(draw: random.Random, subject: Mapping[str, str]) -> Iterator[tuple[bool, str]]:
    """Its sentences; whether the storyteller says them, or the interviewer."""
    story = _Story(draw, subject)
    count = draw.randint(5, 14)
    ask_at = draw.randint(2, count - 2) if draw.random() < MIDDLE_SHARE else None
    if draw.random() < OPENING_SHARE:
        yield False, story.question()
    for number in range(count):
        if number == ask_at:
            yield False, story.question() if draw.random() < 0.5 else story.plain_question()
        yield True, story.sentence(draw.random() >= PLAIN_SHARE)


class _Story:
    """The grammar cut down to one subject."""

    def __init__(self, draw: random.Random, subject: Mapping[str, str]) -> None:
        self._draw = draw
        grammar = {name: list(alternatives) for name, alternatives in text.rules().items()}
        for name, alternatives in {**_COMMON, **subject, "frame": _FRAMES}.items():
            grammar[name] = [one.strip() for one in alternatives.split(" | ")]
        for name in _CARRY - set(subject):
            del grammar[name]
        for name, count in _DRAWN.items():
            grammar[name] = [text.expand(name, draw) for _ in range(count)]
        self._full = _closed(grammar)
        self._plain = _closed({name: rule for name, rule in grammar.items() if name not in _CARRY})
        self._marks = [phrase for name in subject for phrase in grammar[name]]

    def sentence(self, of_subject: bool) -> str:
        """Of the subject, or of nothing in particular."""
        grammar = self._full if of_subject else self._plain
        while True:
            made = text.spell(self._expand("{frame}", grammar))
            if len(made.split()) <= LONGEST_WORDS and self._speaks_of_it(made) == of_subject:
                return made

    def question(self) -> str:
        """What the interviewer asks about the subject."""
        while True:
            made = text.spell(self._expand("{question}", self._full))
            if len(made.split()) <= LONGEST_WORDS and self._speaks_of_it(made):
                return made

    def plain_question(self) -> str:
        """What an interviewer may ask in the middle of any story."""
        return text.spell(self._expand(self._draw.choice(_PLAIN_QUESTIONS), self._full))

    def _speaks_of_it(self, sentence: str) -> bool:
        return any(mark.lower() in sentence.lower() for mark in self._marks)

    def _expand(self, phrase: str, grammar: Mapping[str, list[str]]) -> str:
        return _HOLDER.sub(
            lambda found: self._expand(self._draw.choice(grammar[found.group(1)]), grammar), phrase
        )


def _closed(grammar: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Without the alternatives that name a rule which is not there, again and again until none does."""
    held = dict(grammar)
    while True:
        kept = {
            name: [one for one in rule if all(other in held for other in _HOLDER.findall(one))]
            for name, rule in held.items()
        }
        kept = {name: rule for name, rule in kept.items() if rule}
        if kept == held:
            return kept
        held = kept
