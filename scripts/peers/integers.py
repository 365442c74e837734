"""Weights as GPTQ, AWQ and bitsandbytes store them, packed and decoded by the formats' definitions.

The programs themselves need a GPU, or builds of their own. What is written here follows GPTQModel's
`QuantLinear.pack`, AutoAWQ's `WQLinear_GEMM` and bitsandbytes' `int8_vectorwise_dequant`; the words
that `check_by_hand` has were packed by hand.
"""

import numpy as np
import torch

# Which of eight outputs each code of AWQ's words is of, the lowest first.
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]
FULL = 1 << 32


def words(codes, bits):
    """Codes of one word each in the last dimension, the lowest first, as I32."""
    total = sum(codes[..., index].astype(np.uint64) << np.uint64(bits * index)
                for index in range(codes.shape[-1]))
    return total.astype(np.uint32).view(np.int32)


def along_rows(codes, bits):
    """(rows, columns) → (rows / codes in a word, columns): a word holds codes of one column."""
    per_word = 32 // bits
    rows, columns = codes.shape
    return words(codes.reshape(rows // per_word, per_word, columns).transpose(0, 2, 1), bits)


def along_columns(codes, bits, order=None):
    """(rows, columns) → (rows, columns / codes in a word)."""
    per_word = 32 // bits
    rows, columns = codes.shape
    grouped = codes.reshape(rows, columns // per_word, per_word)
    return words(grouped if order is None else grouped[..., order], bits)


class Integers:
    """One way to store a matrix: what is stored of it, and its numbers."""

    def __init__(self, method, bits=4, group=32, version="gptq", order=False, scales=torch.float16):
        self.method, self.bits, self.group = method, bits, group
        self.version, self.order, self.scales = version, order, scales

    @property
    def name(self):
        """For reports and folders."""
        if self.method == "bitsandbytes":
            return "bitsandbytes-8"
        size = "channel" if self.group == -1 else f"g{self.group}"
        words = [self.method, str(self.bits), size]
        if self.method == "gptq":
            words += [self.version.removeprefix("gptq_") if "_" in self.version else "v1"]
        if self.scales != torch.float16:
            words += [str(self.scales).removeprefix("torch.")]
        return "-".join(words + ["ordered"] * self.order)

    def section(self):
        """`quantization_config` as the programs write it."""
        if self.method == "bitsandbytes":
            return {"quant_method": "bitsandbytes", "load_in_8bit": True, "load_in_4bit": False,
                    "llm_int8_skip_modules": None, "llm_int8_threshold": 6.0}
        section = {"quant_method": self.method, "bits": self.bits, "group_size": self.group}
        if self.method == "awq":
            return section | {"version": "gemm", "zero_point": True,
                              "modules_to_not_convert": ["lm_head"]}
        return section | {"desc_act": self.order, "sym": False, "true_sequential": True,
                          "lm_head": False, "checkpoint_format": self.version, "damp_percent": 0.01}

    def store(self, shape, random):
        """(what is stored, by the end of its name; the matrix (outputs, inputs) in F32)."""
        outputs, inputs = shape
        if self.method == "bitsandbytes":
            codes = random.integers(-127, 128, (outputs, inputs)).astype(np.int8)
            largest = (random.random(outputs) * 0.2 + 0.01).astype(np.float32)
            scales = largest * np.float32(1 / 127)
            return {"weight": torch.from_numpy(codes), "SCB": torch.from_numpy(largest),
                    "weight_format": torch.tensor(0, dtype=torch.uint8)
                    }, torch.from_numpy(codes.astype(np.float32) * scales[:, None])
        size = inputs if self.group == -1 else self.group
        count, top = inputs // size, (1 << self.bits) - 1
        codes = random.integers(0, top + 1, (inputs, outputs))
        # Zero is stored as −1 by the first version: the code before it borrows.
        zeros = random.integers(0, top + 1, (count, outputs))
        scales = torch.from_numpy((random.random((count, outputs)) + 0.05) * 0.03 / (1 << self.bits - 3)
                                  ).to(self.scales)
        groups = np.arange(inputs) // size
        if self.order:
            random.shuffle(groups)
        values = ((codes - zeros[groups]).astype(np.float32)
                  * scales.float().numpy()[groups]).T
        stored = {"scales": scales}
        if self.method == "awq":
            stored["qweight"] = torch.from_numpy(along_columns(codes, 4, AWQ_ORDER))
            stored["qzeros"] = torch.from_numpy(along_columns(zeros, 4, AWQ_ORDER))
        else:
            packed = along_columns(zeros, self.bits).view(np.uint32).astype(np.uint64)
            ones = sum(1 << self.bits * index for index in range(32 // self.bits))
            if self.version == "gptq":
                packed = (packed + FULL - ones) % FULL
            stored["qweight"] = torch.from_numpy(along_rows(codes, self.bits))
            stored["qzeros"] = torch.from_numpy(packed.astype(np.uint32).view(np.int32))
            stored["g_idx"] = torch.from_numpy(groups.astype(np.int32))
        return stored, torch.from_numpy(np.ascontiguousarray(values))


ALL = [
    Integers("gptq"), Integers("gptq", order=True), Integers("gptq", version="gptq_v2"),
    Integers("gptq", bits=8, group=64), Integers("gptq", bits=8, group=-1, version="gptq_v2"),
    Integers("gptq", bits=8, order=True, scales=torch.bfloat16), Integers("gptq", group=-1),
    Integers("awq"), Integers("awq", group=64, scales=torch.bfloat16), Integers("awq", group=-1),
    Integers("bitsandbytes"),
]


def checkpoint(config, stored, scheme, seed):
    """A plain checkpoint's tensors with random codes in place of its linear weights.

    → (config, tensors, the weights' true numbers by their names)
    """
    random = np.random.default_rng(seed)
    tensors, values = {}, {}
    for name, tensor in stored.items():
        values[name] = tensor.float()
        # What joins an MTP layer to the stream is plain to vLLM.
        if not name.endswith(("_proj.weight", "_mqa.weight")) or "eh_proj" in name:
            tensors[name] = tensor
            continue
        parts, values[name] = scheme.store(tuple(tensor.shape), random)
        module = name.removesuffix("weight")
        tensors |= {module + end: part.contiguous() for end, part in parts.items()}
    return config | {"quantization_config": scheme.section()}, tensors, values


def check_by_hand():
    """Words that were packed by hand."""
    codes = np.array([[1, 2, 3, 4, 5, 6, 7, 8]])
    assert int(along_columns(codes, 4)[0, 0]) & 0xFFFFFFFF == 0x87654321
    # Outputs 0 2 4 6 1 3 5 7 from the lowest code on.
    assert int(along_columns(codes, 4, AWQ_ORDER)[0, 0]) & 0xFFFFFFFF == 0x86427531
    assert int(along_rows(codes.T, 4)[0, 0]) & 0xFFFFFFFF == 0x87654321
