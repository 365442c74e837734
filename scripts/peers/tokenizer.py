"""A small byte-level BPE tokenizer trained on sentences of our own."""

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from .folder import write_json

SENTENCES = [
    "A fathom is six feet of water, and a rope with a weight at its end tells how deep it is.",
    "The sounding line goes down over the side, and the sailor sings out the number.",
    "Every layer of the network adds its own small correction to the stream of numbers.",
    "A router looks at each token and sends it to the few experts that know it best.",
    "Keys and values are kept in a narrow latent space, and widened again when they are needed.",
    "The model predicts the next token, and one more layer predicts the token after that.",
    "Eight bits for a weight, and one scale for each block of weights, are often enough.",
    "What is measured can be compared, and what can be compared can be trusted.",
]
SPECIAL = ["<|begin|>", "<|end|>"]
# The names by which llama.cpp's converter asks a GLM's tokenizer for begin, end and ends of turns.
GLM_SPECIAL = ["[gMASK]", "<|endoftext|>", "<|user|>", "<|observation|>"]
SIZE = 280


def special_of(config):
    """A network's special tokens; the first two are begin and end."""
    return GLM_SPECIAL if config["model_type"].startswith("glm") else SPECIAL


def write_tokenizer(folder, special=SPECIAL, sentences=SENTENCES, size=SIZE):
    """Writes tokenizer.json and tokenizer_config.json, and gives the tokenizer back.

    Ids 0 and 1 are begin and end.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences, trainer)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    settings = {"bos_token": special[0], "eos_token": special[1], "add_bos_token": True}
    settings.update({"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 163840})
    write_json(folder / "tokenizer_config.json", settings)
    return tokenizer
