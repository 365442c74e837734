import Codecs
import Formats
import Models
import Passes
import Platform
import Reference
import Support
import Tensors
import Verification

/// A checkpoint of `Samples/` with what transformers made of it.
struct Sample {
  let files: ModelFiles
  var config: ModelConfig
  let tokens: [[Int]]
  /// Logits of the main model, then of each MTP layer: (batch · tokens, vocab) flattened.
  let expected: [[Float]]

  init(_ name: String) throws { try self.init(folder: Repository.samples + "/" + name) }

  init(folder: String) throws {
    files = try ModelFiles(path: folder)
    config = files.config
    let file = folder + "/expected.safetensors"
    tokens = try TokenInput.read(file)
    let inventory = try Inventory(safetensorsFile: file)
    expected = try ["logits", "mtp_logits", "mtp_logits_2"].compactMap { inventory[$0] }.map {
      let buffer = try inventory.read($0)
      return withExtendedLifetime(buffer) {
        Array(buffer.bytes.assumingMemoryBound(to: Float.self))
      }
    }
  }

  /// Logits of main model and MTP layers, flattened, on the sample's tokens or others.
  func logits(
    threads: Int, level: KernelLevel = .best, plan: MemoryPlan = .generous,
    of sequences: [[Int]]? = nil
  ) throws -> [[Float]] {
    let weights = try CheckpointWeights(files.weights, config: config, mtp: true)
    let network = Network(
      config: config, weights: weights, threads: threads, level: level, plan: plan)
    let batch = try TokenBatch(sequences ?? tokens, vocabSize: config.vocabSize)
    let hidden = try network.embed(batch)
    for layer in 0..<config.layers { _ = try network.layer(layer, hidden: hidden, batch: batch) }
    var normed = [try network.finalNorm(hidden)]
    for index in 0..<config.mtpLayers {
      let predicted = try network.predictor(index, previous: normed[index], batch: batch).hidden
      normed.append(try network.finalNorm(predicted, depth: index + 1))
    }
    return try normed.map {
      let logits = Activations(rows: $0.rows, columns: config.vocabSize)
      try network.logits(of: $0, vocabulary: 0..<config.vocabSize, into: logits)
      return logits.array
    }
  }

  /// The main model's logits as they are written: in pieces, by several threads.
  func pieces(threads: Int, plan: MemoryPlan) throws -> [Float] {
    let weights = try CheckpointWeights(files.weights, config: config, mtp: false)
    let network = Network(config: config, weights: weights, threads: threads, plan: plan)
    let batch = try TokenBatch(tokens, vocabSize: config.vocabSize)
    let hidden = try network.embed(batch)
    for layer in 0..<config.layers { _ = try network.layer(layer, hidden: hidden, batch: batch) }
    let normed = try network.finalNorm(hidden)
    let logits = Activations(rows: normed.rows, columns: config.vocabSize)
    for first in stride(from: 0, to: normed.rows, by: network.logitsRows) {
      let rows = first..<min(first + network.logitsRows, normed.rows)
      try network.eachLogits(of: normed, rows: rows) { row, id, piece in
        _ = UnsafeMutableBufferPointer(rebasing: logits[row][id...]).update(fromContentsOf: piece)
      }
    }
    return logits.array
  }
}
