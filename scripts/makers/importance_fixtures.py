"""Has llama-imatrix measure a small random model, and records which weights llama-quantize uses.

    scripts/make importance-fixtures

Builds llama-imatrix and llama-quantize with scripts/build-llama. Writes to
Tests/FormatsTests/Fixtures: importance.gguf and importance.dat, one measurement in both formats,
and importance.json: for each file and tensor `matrices`, `columns`, the first weights, and the
first 16 digits of the SHA-256 of all weights as little-endian F32. They are computed here with
numpy, and the script fails unless ggml gives with them, tensor for tensor, the bytes that
llama-quantize gives with the file. One expert is never chosen: its counts are zero.
"""
import ctypes
import hashlib
import json
import pathlib
import struct
import subprocess
import tempfile

import gguf
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FIXTURES = ROOT / "Tests/FormatsTests/Fixtures"
H, KV, Q, HEADS, NOPE, ROPE, V, F, M, E, LAYERS = 64, 32, 64, 2, 32, 16, 32, 96, 32, 4, 2
TEXT = "".join(chr(32 + (i * i * 7 + i * 3) % 95) for i in range(400))


def tensors():
    t = {"token_embd.weight": (H, 257), "output.weight": (H, 257), "output_norm.weight": (H,)}
    for i in range(LAYERS):
        layer = {
            "attn_norm.weight": (H,), "ffn_norm.weight": (H,), "attn_q_a.weight": (H, Q),
            "attn_q_a_norm.weight": (Q,), "attn_q_b.weight": (Q, HEADS * (NOPE + ROPE)),
            "attn_kv_a_mqa.weight": (H, KV + ROPE), "attn_kv_a_norm.weight": (KV,),
            "attn_k_b.weight": (NOPE, KV, HEADS), "attn_v_b.weight": (KV, V, HEADS),
            "attn_output.weight": (HEADS * V, H)}
        if i == 0:
            layer |= {"ffn_gate.weight": (H, F), "ffn_up.weight": (H, F), "ffn_down.weight": (F, H)}
        else:
            layer |= {
                "ffn_gate_inp.weight": (H, E), "exp_probs_b.bias": (E,),
                "ffn_gate_exps.weight": (H, M, E), "ffn_up_exps.weight": (H, M, E),
                "ffn_down_exps.weight": (M, H, E), "ffn_gate_shexp.weight": (H, M),
                "ffn_up_shexp.weight": (H, M), "ffn_down_shexp.weight": (M, H)}
        t |= {f"blk.{i}.{name}": shape for name, shape in layer.items()}
    return t


def byte_tokens():
    """GPT-2's letters for bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(other)) for b in range(256)]


def write_model(path):
    random = np.random.default_rng(5)
    w = gguf.GGUFWriter(path, "deepseek2")
    w.add_block_count(LAYERS)
    w.add_context_length(512)
    w.add_embedding_length(H)
    w.add_feed_forward_length(F)
    w.add_head_count(HEADS)
    w.add_head_count_kv(1)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_q_lora_rank(Q)
    w.add_kv_lora_rank(KV)
    w.add_key_length(KV + ROPE)
    w.add_value_length(KV)
    w.add_key_length_mla(NOPE + ROPE)
    w.add_value_length_mla(V)
    w.add_rope_dimension_count(ROPE)
    w.add_rope_freq_base(10000)
    w.add_leading_dense_block_count(1)
    w.add_expert_count(E)
    w.add_expert_used_count(2)
    w.add_expert_shared_count(1)
    w.add_expert_feed_forward_length(M)
    w.add_expert_weights_scale(1.5)
    w.add_expert_weights_norm(True)
    w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    w.add_vocab_size(257)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("deepseek-v3")
    w.add_token_list(byte_tokens() + ["<end>"])
    w.add_token_types([1] * 256 + [3])
    w.add_token_merges(["a b"])
    w.add_eos_token_id(256)
    w.add_bos_token_id(256)
    for name, shape in tensors().items():
        data = random.standard_normal(shape[::-1], dtype=np.float32) * np.float32(0.2)
        if name.endswith("norm.weight"):
            data += 1
        if name.endswith(".bias"):
            data[:] = 0
            data[2] = -100
        w.add_tensor(name, data)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def weights_of_gguf(path):
    stored = {t.name: t.data for t in gguf.GGUFReader(path).tensors}
    for name in (n.removesuffix(".counts") for n in stored if n.endswith(".counts")):
        counts = np.round(stored[name + ".counts"].reshape(-1, 1)).astype(np.int64)
        sums = stored[name + ".in_sum2"].reshape(len(counts), -1)
        divisors = np.where(counts > 0, counts, 1).astype(np.float32)
        yield name, np.where(counts > 0, sums / divisors, np.float32(1)).ravel()


def weights_of_dat(path):
    data, place = path.read_bytes(), 4
    for _ in range(struct.unpack_from("<i", data)[0]):
        length, = struct.unpack_from("<i", data, place)
        name = data[place + 4:place + 4 + length].decode()
        calls, count = struct.unpack_from("<ii", data, place + 4 + length)
        place += 12 + length
        yield name, np.frombuffer(data, "<f4", count, place) / np.float32(calls)
        place += 4 * count


def check(built, model, matrix, weights, folder):
    """ggml with these weights gives what llama-quantize gives with the file."""
    library = ctypes.CDLL(f"{built}/lib/libggml-base.so")
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [
        ctypes.c_int64] * 3 + [ctypes.c_void_p]
    source = {t.name: t.data for t in gguf.GGUFReader(model).tensors}
    output, used, without = folder / "quantized.gguf", 0, 0
    subprocess.run([f"{built}/bin/llama-quantize", "--imatrix", matrix, model, output, "Q4_0", "1"],
                   check=True, capture_output=True)
    for tensor in gguf.GGUFReader(output).tensors:
        if tensor.tensor_type != gguf.GGMLQuantizationType.Q4_0 or tensor.name not in weights:
            continue
        values = np.ascontiguousarray(source[tensor.name], np.float32)
        stack = values.reshape(-1, *values.shape[-2:])
        per_matrix = weights[tensor.name].astype(np.float32).reshape(len(stack), -1)
        results = []
        for importance in (per_matrix, None):
            out = b""
            for index, values in enumerate(stack):
                values = np.ascontiguousarray(values)
                columns = None if importance is None else np.ascontiguousarray(importance[index])
                buffer = ctypes.create_string_buffer(values.size // 32 * 18)
                library.ggml_quantize_chunk(
                    2, values.ctypes.data, buffer, 0, values.shape[0], values.shape[1],
                    None if columns is None else columns.ctypes.data)
                out += buffer.raw
            results.append(out)
        assert results[0] == tensor.data.tobytes(), tensor.name
        used, without = used + 1, without + (results[0] != results[1])
    assert used > 15 and without > 15
    print(matrix.name, used, "tensors agree with llama-quantize")


def main():
    built = subprocess.run([ROOT / "scripts/build-llama", "llama-quantize", "llama-imatrix"],
                           check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
    shapes, table = tensors(), {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        model, text = folder / "model.gguf", folder / "text.txt"
        write_model(model)
        text.write_text(TEXT)
        for kind, read in (("gguf", weights_of_gguf), ("dat", weights_of_dat)):
            file = FIXTURES / f"importance.{kind}"
            # Run beside the text, so that no path of this machine is recorded.
            subprocess.run([f"{built}/bin/llama-imatrix", "-m", model, "-f", "text.txt", "-o", file,
                            "--output-format", kind, "-c", "64", "-b", "64", "-t", "1",
                            "--no-ppl"], check=True, capture_output=True, cwd=folder)
            weights = dict(read(file))
            check(built, model, file, weights, folder)
            rows = table[kind] = {}
            for tensor, found in sorted(weights.items()):
                matrices = shapes[tensor][2] if len(shapes[tensor]) > 2 else 1
                data = found.astype("<f4").tobytes()
                rows[tensor] = {
                    "matrices": matrices, "columns": len(found) // matrices,
                    "first": [float(v) for v in found[:2]],
                    "sha256": hashlib.sha256(data).hexdigest()[:16]}
    lines = [f' "{kind}": {{\n' + ",\n".join(
        f'  "{name}": {json.dumps(row)}' for name, row in rows.items()) + "\n }"
        for kind, rows in table.items()]
    (FIXTURES / "importance.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


main()
