"""Texts that are hard on tokenizers: written ones by kind, and random ones from nasty parts."""

import random

WRITTEN = {
    "prose": [
        "A fathom is six feet of water, isn't it? We'll see; they're SURE it's 1.83 m.",
        "Don't  leave   trailing blanks   \nor  two\n\nlines.\n",
        "Größe, naïve café, Ångström, İstanbul, ﬁn, ß ẞ, Œuvre, ǅ, ʰ, ª",
        "Пусть всегда будет солнце! Ёлка, їжак; Ελληνικά, ᾼ, Հայերեն, ქართული ᲥᲐᲠᲗᲣᲚᲘ",
    ],
    "code": [
        "def f(x):\n\treturn {**x, 'a': [1, 2.5e-3, 0xFF]}  # done\r\n",
        "for (int i=0;i<n;++i){a[i]+=b[i]->c;}//…\n\n\n    while(1);\t \n",
        "let π = try! Regex(#\"\\p{L}+(?!\\S)\"#) as? [String: Int] ?? [:]",
        "SELECT * FROM `t` WHERE a<>b AND c LIKE '%_x%' -- 100%\n;",
        "<div class=\"x\">&nbsp;</div>\n<!-- -->\n$HOME/.config ~user #!/bin/sh @a_b.c \\LaTeX{}",
        "camelCaseWord HTTPServer2Go snake_case_9 __init__ x86_64 v1.2.3-rc.4+5",
    ],
    "East Asian": [
        "深度求索发布了新模型，参数量为671B，激活37B。测试：１２３４！",
        "『吾輩は猫である』。カタカナ・ﾊﾝｶｸ、ひらがなー〜 ゟヿ々〆〇㍻",
        "한국어 문장입니다. 가나다라 ㄱㄴㄷ ᄀᆞ 각(각)",
        "漢字kanji混じりabcの文123と，標點符號「」《》…—— 龥龦㐀𠀀𪜀",
    ],
    "right to left": [
        "اللُّغَةُ العَرَبِيَّة ١٢٣٤٥، ؟ ـــ ﷽ ‏abc‎",
        "שלום עוֹלָם, 5 ₪ — ״כן״",
        "हिन्दी में क़ ख़ १२३ । தமிழ் ภาษาไทย ๑๒๓ ລາວ မြန်မာ ខ្មែរ",
    ],
    "emoji": [
        "👩‍👩‍👧‍👦 👍🏽 🏴‍☠️ 🇩🇪🇯🇵 ❤️ ☺︎ 1️⃣ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 🧑🏿‍🚀 🫠",
        "a😀b😀😀 c 😀  😀\n😀",
    ],
    "digits": [
        "1 12 123 1234 12345 1234567890 3.14159 1,000,000 ½ ⅷ ² ① ㊿ 𝟗 ٣ ৪ 〇 𒐀",
        "2024-11-26T12:34:56Z 0b1010 +49(0)30/123456 1e10 ١٢٣٤ １２３４",
    ],
    "white space": [
        " ", "  ", "\t", "\n", "\r\n", " \n", "\n ", " \r\n \r\n", "   a", "a   ", "\u00a0\u00a0x",
        "a\u3000\u3000b\u2003c\u2028d\u2029e\u0085f\u000bg\u000ch\u1680i\u202fj\u205fk",
        "x\u200by\u200cz\u200d\ufeffw\u2060 \u00ad\u180e",
        "line \nline\t\n\tline  \r\r\n   \n\n  end \t ", "\n\n\n\n    \n        x = 1\n",
    ],
    "marks": [
        "e\u0301 é a\u0308\u0323 \u0301 \u0301a 1\u0301 .\u0301 \u0e33 \u0903\u0930 ñn\u0303 \u20ddx",
        "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!",
    ],
    "controls": [
        "\x00a \x00\x00 \x00\x00a\x00 \x00",
        "\x01\x02\x7f\x1b[0m \x1f\x1c\x1d\x1e a\x08b \x80\x9f \ufffd\ufffe\uffff \ue000 \U000e0001",
        "\u0378 \U0001fffe \U0010ffff \U000f0000x",
    ],
    "punctuation": [
        "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ''' \"\"\" ... ?!?! «» „“ ‚‘ – — ⸺ ·•‣ §¶†‡ ¿¡ ︙",
        "€$¥£₿ ±×÷∞≠≤ ⟨⟩ ⇒⟶ ♠♥ ©®™ °′″ ^_^ :-) ¯\\_(ツ)_/¯ !abc #tag @at 'tis 'em",
    ],
    "new characters": [
        # Unicode 15 (Kawi), 15.1 (extension I), 16 (Garay, Egyptian), 17 (Sidetic): how old tables are.
        "\U00011f04\U00011f05 a\U0002ebf0b \U00010d4a\U00010d50 \U00013460 \U00010940\U00010941",
    ],
}

PARTS = (
    list(" \t\n\r\x0b\x0c\x85\xa0\u1680\u2003\u2028\u2029\u202f\u3000\u200b\u200c\u200d\ufeff")
    + list("aZéßİıǅʰªſKΩжЖ中文龥龦㐀あアｱゟヿー々가각ᄀا١हि९ก๑𐐀𝟗½²Ⅷ①_-'’.,!?#$<>|{}[]()\\\"`~^*&%@+=/:;")
    + ["'s", "'T", "'ll", "'LL", "12", "345", "  ", "   ", "\r\n", "\n\n", " \n", "\u0301", "\u0308",
       "\u0e33", "\ufe0f", "👍🏽", "👩\u200d👧", "🇩🇪", "\x00", "\x7f", "\u0378", "\ue000", "\U000e0067",
       "\U0010ffff", "the", "The", "HTTP", "def ", "return", "https://", "深度", "です", "한국", "word"]
)


def written():
    """All written texts."""
    return [text for texts in WRITTEN.values() for text in texts]


def random_texts(seed, count, extra=(), longest=40):
    """Seeded texts of up to `longest` parts; `extra` are further parts, such as added tokens."""
    source = random.Random(seed)
    parts = PARTS + list(extra)
    texts = []
    for _ in range(count):
        kind = source.random()
        length = source.randint(1, longest)
        if kind < 0.15:
            # Any character at all.
            texts.append("".join(any_character(source) for _ in range(length)))
        elif kind < 0.3:
            # Few parts, often repeated: runs.
            few = source.sample(parts, 3)
            texts.append("".join(source.choice(few) for _ in range(length)))
        else:
            texts.append("".join(source.choice(parts) for _ in range(length)))
    return texts


def any_character(source):
    """A code point that is no surrogate, the lower planes more often."""
    while True:
        code = source.randrange(source.choice([0x80, 0x800, 0x3100, 0x10000, 0x20000, 0x110000]))
        if not 0xD800 <= code < 0xE000:
            return chr(code)


def rows_of_characters(width=512):
    """Every character that Unicode 17 assigns, and every 61st of the others, in rows.

    Assigned are planes 0 to 3 and tags and selectors in plane 14; elsewhere all characters of a
    plane have the same properties.
    """
    codes = [code for code in range(0x110000)
             if not 0xD800 <= code < 0xE000
             and (code < 0x34000 or 0xE0000 <= code < 0xE1000 or code % 61 == 0
                  or code & 0xFFFF in (0, 1, 0xFFFD, 0xFFFE, 0xFFFF))]
    return [[chr(code) for code in codes[start:start + width]]
            for start in range(0, len(codes), width)]
