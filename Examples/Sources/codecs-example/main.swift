import FathomCodecs

let weights = (0..<512).map { Float($0 % 37) / 16 - 1 }
if let codec = Codec(named: "Q4_K") {
  let bytes = try codec.encode(weights)
  let decoded = try codec.decode(bytes)
  let losses = zip(weights, decoded).map { abs($0 - $1) }
  print("\(weights.count) weights in \(bytes.count) bytes, at most \(losses.max() ?? 0) off")
}

// FP8 as DeepSeek-V3 has it, a scale for each block of 128 × 128.
let matrix = try ScaledFP8().encode(weights, rows: 2, columns: 256)
print("\(matrix.codes.count) codes, scales \(matrix.scales)")
