"""Chat templates of our own: one in the manner of DeepSeek's, and one for each corner of Jinja."""

DIALOGUE = (
    "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}"
    "{% endif %}"
    "{%- set state = namespace(system='', open=false, count=0) -%}\n"
    "{%- for message in messages if message['role'] == 'system' -%}\n"
    "  {%- set state.system = state.system + message.content -%}\n"
    "{%- endfor -%}\n"
    "{{ bos_token }}{{ state.system }}\n"
    "{%- for message in messages %}\n"
    "    {%- if message['role'] == 'user' %}\n"
    "        {%- set state.open = true %}{{ '<|user|>' + message['content'] }}\n"
    "    {%- elif message['role'] == 'assistant' and message['tool_calls'] is not none -%}\n"
    "        {%- for call in message['tool_calls'] -%}{{ call['function']['arguments'] | tojson }}"
    "{%- endfor -%}\n"
    "    {%- endif %}\n"
    "{%- endfor %}\n"
    "{%- if add_generation_prompt and state.open and not tools %}{{ '<|answer|>\\n' }}{% endif %}"
)

TEMPLATES = {
    "dialogue": DIALOGUE,
    "tags eat white space":
        "a  \n {%- if true -%}  \n b {% endif %}  \n\t{% if true %}\nc{# gone #}\n  {#- gone -#}  d{% endif %}\n"
        "  {%+ if true %} e {%+ endif +%}\n  {{- 'f' -}}  \n g {{ 'h' }}\n  {{ 'i' }}  \n\n",
    "lines": "a\r\nb\rc{% if true %}\r\nd{% endif %}\n",
    "literals":
        "{{ 'it\\'s' ' one' }}|{{ \"tab\\t\\x41\\u00e9\\U0001F600\\n\\q\" }}|{{ 12 }}|{{ true }}"
        "|{{ none }}|{{ [1, 'b'][1] }}|{{ (1, 2)[0] }}|{{ {'k': 'v', \"w\": {}}['k'] }}|{{ '}}' }}",
    "binding":
        "{{ 1 + 2 * 3 }}|{{ 7 // 2 }}|{{ -7 // 2 }}|{{ -7 % 3 }}|{{ 7 % -3 }}|{{ 1 ~ 2 + '3' }}"
        "|{{ 'a' + 'b' if false else 'c' }}|{{ not 1 == 2 and true }}|{{ 1 < 2 < 3 }}"
        "|{{ '1' + 2|string }}|{{ 'x' if none }}|{{ none or 'y' }}|{{ 2 and 3 }}|{{ - 2 + 3 }}"
        "|{{ -1|string + 'a' }}|{{ 1 == true }}|{{ 'a' < 'b' }}|{{ 1 in [1, 2] }}|{{ 'x' not in 'abc' }}",
    "places":
        "{{ 'abcdef'[1:3] }}|{{ 'abc'[-1] }}|{{ 'abcdef'[::-1] }}|{{ 'abc'[5:] }}|{{ 'abc'[:-1] }}"
        "|{{ [1, 2, 3][-2:][0] }}|{{ messages[0]['role'] }}|{{ messages[-1].content[:3] }}"
        "|{{ 'a\u0301e\u0301'[1:] }}|{{ 'abcdef'[4:1:-2] }}",
    "what is not there":
        "{{ missing }}|{{ messages[0].missing is defined }}|{{ missing is defined or 'no' }}"
        "|{{ messages[0]['missing'] is not defined }}|{{ missing|default('d') }}"
        "|{{ ''|default('e', true) }}|{{ ''|d('f') }}|{% for x in missing %}x{% else %}none{% endfor %}"
        "|{{ tools is none }}|{{ missing == other }}",
    "filters":
        "{{ ' a b '|trim }}|{{ messages|length }}|{{ 'e\u0301'|length }}|{{ 'aXbX'|replace('X', '-') }}"
        "|{{ ['a', 1]|join(', ') }}|{{ 'abc'|first }}|{{ [1, 2]|last }}|{{ '7'|int + 1 }}"
        "|{{ 'äß'|upper }}|{{ 'ÄB'|lower }}|{{ {'a': 1}|length }}|{{ 'ab'|list|join('.') }}",
    "tests":
        "{{ 'a' is string }}|{{ 1 is string }}|{{ {} is mapping }}|{{ 1 is number }}|{{ 1 is integer }}"
        "|{{ true is boolean }}|{{ none is none }}|{{ [] is iterable }}|{{ 1 is not none }}"
        "|{{ 3 is eq 3 }}|{{ true is true }}|{{ 1 is true }}",
    "methods":
        "{{ messages[0].get('role') }}|{{ messages[0].get('x', 'y') }}|{{ 'a,b,c'.split(',')[-1] }}"
        "|{{ 'a,b,c'.split(',', 1)[1] }}|{{ ' x '.strip() }}|{{ ' x '.rstrip() }}.|{{ 'ab'.startswith('a') }}"
        "|{{ 'ab'.endswith('a') }}|{% for k, v in messages[0].items() %}{{ k }}={{ v }};{% endfor %}"
        "|{{ 'aa'.replace('a', 'b') }}|{{ 'a'.upper() }}",
    "loops":
        "{% for i in range(4) %}{{ loop.index }}{{ loop.first }}{{ loop.last }}{{ loop.length }}"
        "{% if i == 2 %}{% break %}{% endif %}{% if i == 0 %}{% continue %}{% endif %}{{ i }},{% endfor %}"
        "|{% for i in range(5, 0, -2) %}{{ i }}{{ loop.previtem }}{% endfor %}"
        "|{% for a, b in [(1, 2), (3, 4)] if a > 1 %}{{ a }}{{ b }}{{ loop.index0 }}{% endfor %}"
        "|{% set x = 1 %}{% for i in range(2) %}{% set x = 2 %}{% endfor %}{{ x }}"
        "|{% for i in range(2) %}{% for j in range(2) %}{{ i }}{{ j }}{{ loop.index }} {% endfor %}"
        "{{ loop.index }}{% endfor %}",
    "names":
        "{% set a, b = 1, 2 %}{{ a }}{{ b }}|{% set text %} x{{ a }} {% endset %}{{ text }}|"
        "{% set n = namespace(v=0) %}{% for i in range(3) %}{% set n.v = n.v + i %}{% endfor %}{{ n.v }}",
    "macros":
        "{%- macro show(text, mark='!', end='') -%}  [{{ text }}{{ mark }}{{ end }}]  {%- endmacro -%}"
        "{{ show('a') }}{{ show('b', '?') }}{{ show('c', end='.') }}{{ show(messages[0]['content'][:1]) }}"
        "{% macro outer(x) %}{{ show(x)|trim }}{{ bos_token }}{% endmacro %}{{ outer('d') }}",
}

TEXTS = ["Hello, world?", " two\nlines\r\n ", "深度求索 e\u0301 👍🏽 <|user|>", "x"]
