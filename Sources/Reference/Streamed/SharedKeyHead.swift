internal import Codecs
internal import Models
internal import Platform
internal import Tensors

/// One head of `SharedKeyAttention` on one thread.
///
/// Queries pass by in blocks, each against the tokens of its windows and then against entries, block
/// by block; the softmax is corrected as larger scores turn up, and begins with the sink. Blocks count
/// from the start of a sequence, so that a token's values depend on its own sequence alone.
struct SharedKeyHead {
  /// Queries that meet keys together.
  static let queryBlock = 96
  /// Keys of a block.
  static let keyBlock = 256

  private let attention: SharedKeyAttention
  private let worker: Int
  private let query: Activations
  private let scores: Activations
  private let keys: PackedMatrix
  private let values: PackedMatrix
  private var config: ModelConfig { attention.config }
  private var linear: Linear { attention.linear }

  init(_ attention: SharedKeyAttention, tokens: Int, worker: Int) {
    self.attention = attention
    self.worker = worker
    let size = attention.config.valueHeadSize
    query = Activations(unwrittenRows: tokens, columns: size)
    scores = Activations(
      unwrittenRows: SharedKeyHead.queryBlock, columns: SharedKeyHead.keyBlock)
    let scratch = attention.linear.scratch(of: worker)
    keys = PackedMatrix(
      mostDepth: size, mostColumns: SharedKeyHead.keyBlock, scratch: scratch,
      level: attention.linear.level)
    values = PackedMatrix(
      mostDepth: SharedKeyHead.keyBlock, mostColumns: size, scratch: scratch,
      level: attention.linear.level)
  }

  /// Bytes that this takes for so many tokens, a tile of weights included.
  static func bytes(tokens: Int, _ config: ModelConfig) -> Int {
    let size = config.valueHeadSize
    let floats =
      tokens * size + queryBlock * keyBlock + size * (config.queryRank ?? 0)
    return floats * MemoryLayout<Float>.stride
      + PackedMatrix.byteCount(mostDepth: size, mostColumns: keyBlock)
      + PackedMatrix.byteCount(mostDepth: keyBlock, mostColumns: size)
  }

  /// What the head makes of all tokens: (tokens, head), rotated back to the tokens' own positions.
  func run(
    head: Int, _ latents: SharedKeyAttention.Latents, lengths: [Int],
    into mixed: MutableFloatMatrix
  ) throws(Fault) {
    try makeQueries(head, latents)
    var (start, firstEntry) = (0, 0)
    for (length, count) in zip(lengths, latents.counts) {
      for first in stride(from: 0, to: length, by: SharedKeyHead.queryBlock) {
        try Interruption.check()
        let block = first..<min(first + SharedKeyHead.queryBlock, length)
        attend(
          block, of: start, latents, entries: firstEntry..<firstEntry + count,
          sink: latents.sinks[head],
          into: mixed.rows(start + block.lowerBound..<start + block.upperBound))
      }
      (start, firstEntry) = (start + length, firstEntry + count)
    }
    turnBack(mixed, latents)
  }

  /// Queries of the head (tokens, head), normed, rotated and scaled for the softmax.
  private func makeQueries(
    _ head: Int, _ latents: SharedKeyAttention.Latents
  ) throws(Fault) {
    let size = config.valueHeadSize
    try linear.projectAlone(
      latents.query.view, attention.prefix + "q_b_proj.weight",
      rows: head * size..<(head + 1) * size, into: query.mutableView, worker: worker)
    let scale = Float(Mathematics.pow(Double(size), -0.5))
    let ones = [Float](repeating: 1, count: size)
    ones.withUnsafeBufferPointer { ones in
      for token in 0..<query.rows {
        let q = query[token]
        VectorMath.normalize(
          UnsafeBufferPointer(q), weight: ones, epsilon: config.rmsNormEpsilon, into: q,
          level: linear.level)
        attention.rotary.rotate(
          q.baseAddress! + config.nopeHeadSize, latents.table.cosines[token],
          latents.table.sines[token])
        for index in 0..<size { q[index] *= scale }
      }
    }
  }

  /// The softmax of a block of queries as it goes.
  private struct Progress {
    var largest: [Float]
    var sums: [Float]
  }

  /// Lets some queries of the sequence that begins at token `start` see what they see.
  private func attend(
    _ block: Range<Int>, of start: Int, _ latents: SharedKeyAttention.Latents,
    entries: Range<Int>, sink: Float, into target: MutableFloatMatrix
  ) {
    let window = attention.v4.window
    var progress = Progress(
      largest: [Float](repeating: sink, count: block.count),
      sums: [Float](repeating: 1, count: block.count))
    for row in 0..<block.count {
      UnsafeMutableBufferPointer(start: target.base + row * target.stride, count: target.columns)
        .update(repeating: 0)
    }
    let queries = query.view(start + block.lowerBound..<start + block.upperBound)
    let oldest = max(0, block.lowerBound - window + 1)
    for first in stride(from: oldest, to: block.upperBound, by: SharedKeyHead.keyBlock) {
      let own = first..<min(first + SharedKeyHead.keyBlock, block.upperBound)
      see(
        queries, latents.keys.view(start + own.lowerBound..<start + own.upperBound), &progress,
        into: target
      ) { row, scores in
        let position = block.lowerBound + row
        SharedKeyHead.keep(
          max(0, position - window + 1) - first..<position + 1 - first, of: scores)
      }
    }
    guard let compressed = latents.entries, let ratio = attention.v4.ratio(of: attention.kind)
    else { return finish(progress, target) }
    let most = block.upperBound / ratio
    for first in stride(from: 0, to: most, by: SharedKeyHead.keyBlock) {
      let own = first..<min(first + SharedKeyHead.keyBlock, most)
      let rows = entries.lowerBound + own.lowerBound..<entries.lowerBound + own.upperBound
      see(queries, compressed.view(rows), &progress, into: target) { row, scores in
        let position = block.lowerBound + row
        SharedKeyHead.keep(0..<max(0, (position + 1) / ratio - first), of: scores)
        guard let seen = latents.seen else { return }
        HeadAttention.hide(scores, from: first, seen[start + position])
      }
    }
    finish(progress, target)
  }

  /// Adds what a block of keys gives: `restrict` leaves each row the scores of keys that it sees.
  private func see(
    _ queries: FloatMatrix, _ block: FloatMatrix, _ progress: inout Progress,
    into target: MutableFloatMatrix,
    _ restrict: (Int, UnsafeMutableBufferPointer<Float>) -> Void
  ) {
    keys.pack(transposed: block)
    values.pack(block)
    let count = block.rows
    keys.multiply(
      queries, into: scores.mutableView(0..<queries.rows, columns: 0..<count))
    for row in 0..<queries.rows {
      let weights = UnsafeMutableBufferPointer(rebasing: scores[row][..<count])
      restrict(row, weights)
      let old = progress.largest[row]
      let top = max(old, VectorMath.largest(UnsafeBufferPointer(weights), level: linear.level))
      let sum = VectorMath.exponentials(weights, below: top, level: linear.level)
      guard top > old else {
        progress.sums[row] += sum
        continue
      }
      let kept = Mathematics.exp(old - top)
      progress.sums[row] = progress.sums[row] * kept + sum
      progress.largest[row] = top
      let mixed = target.base + row * target.stride
      for column in 0..<target.columns { mixed[column] *= kept }
    }
    values.multiply(
      scores.view(0..<queries.rows, columns: 0..<count), into: target, adding: true)
  }

  private func finish(_ progress: Progress, _ target: MutableFloatMatrix) {
    for row in 0..<target.rows {
      let mixed = target.base + row * target.stride
      for column in 0..<target.columns { mixed[column] /= progress.sums[row] }
    }
  }

  /// Takes out the scores of keys outside a range, whose weights are 0 then.
  private static func keep(_ range: Range<Int>, of scores: UnsafeMutableBufferPointer<Float>) {
    let range = range.clamped(to: 0..<scores.count)
    for index in 0..<range.lowerBound { scores[index] = -.infinity }
    for index in range.upperBound..<scores.count { scores[index] = -.infinity }
  }

  /// Turns the rotary part of what keys, which are rotated, gave back by each token's position.
  private func turnBack(
    _ mixed: MutableFloatMatrix, _ latents: SharedKeyAttention.Latents
  ) {
    for token in 0..<mixed.rows {
      attention.rotary.rotate(
        mixed.base + token * mixed.stride + config.nopeHeadSize, latents.table.cosines[token],
        latents.table.sines[token], back: true)
    }
  }
}
