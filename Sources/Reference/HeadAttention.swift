internal import Codecs
internal import Models
internal import Platform
internal import Tensors

/// One head's attention on one thread.
///
/// Keys pass by in blocks, whose keys and values are made from the latent where they are used; the
/// softmax is corrected as larger scores turn up ("online"). So beside the head's queries nothing
/// grows with the sequence. A block's sums follow the bounds of `MatrixProduct` and `VectorMath`;
/// each block adds two roundings per value and 4 + |change of the largest| units of 2⁻²³.
///
/// Where an indexer has chosen keys, the others' scores are −∞: see `hide`.
///
/// Blocks count from the start of a sequence, so that a token's values depend on its own sequence
/// alone.
struct HeadAttention {
  /// Keys of a block: enough to make the packing cheap, and few enough that a block's keys, values
  /// and scores stay in the second-level cache.
  static let keyBlock = 256
  /// Queries that meet a block of keys together; those at its edge see a part of it.
  static let queryBlock = 48

  let attention: Attention
  let worker: Int
  private let query: Activations
  private let key: Activations
  private let keyValue: Activations
  private let scores: Activations
  private let keys: PackedMatrix
  private let values: PackedMatrix
  /// The keys' rotated part, where its products are rounded before others are added; `keys` has the
  /// rest then.
  private let rotatedKeys: PackedMatrix?
  /// What `attn_v_b` is multiplied with where the values are made after the mixing, as llama.cpp does
  /// it: for each token the mixed latents, (tokens, rank). Nil where nobody asks.
  private let mixedLatents: Activations?
  private let packedLatents: PackedMatrix?
  /// How a runtime rounds where it multiplies with `kv_b_proj`; nil where it does so key by key.
  private let halves: Rounds.Halves?
  private var config: ModelConfig { attention.config }
  private var linear: Linear { attention.linear }

  init(_ attention: Attention, tokens: Int, worker: Int) {
    let config = attention.config
    self.attention = attention
    self.worker = worker
    let block = min(HeadAttention.keyBlock, tokens)
    query = Activations(unwrittenRows: tokens, columns: config.queryHeadSize)
    key = Activations(unwrittenRows: block, columns: config.queryHeadSize)
    keyValue = Activations(
      unwrittenRows: block, columns: config.nopeHeadSize + config.valueHeadSize)
    scores = Activations(
      unwrittenRows: HeadAttention.queryBlock, columns: HeadAttention.keyBlock)
    let scratch = attention.linear.scratch(of: worker)
    keys = PackedMatrix(
      mostDepth: config.queryHeadSize, mostColumns: block, scratch: scratch,
      level: attention.linear.level)
    values = PackedMatrix(
      mostDepth: block, mostColumns: config.valueHeadSize, scratch: scratch,
      level: attention.linear.level)
    rotatedKeys =
      attention.linear.rounds?.rotatedScores == nil
      ? nil
      : PackedMatrix(
        mostDepth: config.ropeHeadSize, mostColumns: block, scratch: scratch,
        level: attention.linear.level)
    halves = attention.linear.rounds?.halves(
      attention.linear.weights.storedTypes(of: attention.keyValueName))
    let mixesLatents = attention.linear.inputs != nil || halves != nil
    mixedLatents =
      mixesLatents ? Activations(unwrittenRows: tokens, columns: config.keyValueRank) : nil
    packedLatents =
      mixesLatents
      ? PackedMatrix(
        mostDepth: block, mostColumns: config.keyValueRank, scratch: scratch,
        level: attention.linear.level) : nil
  }

  /// Bytes that this takes for so many tokens, weights apart.
  static func bytes(tokens: Int, _ config: ModelConfig) -> Int {
    let block = min(keyBlock, tokens)
    let joint = config.nopeHeadSize + config.valueHeadSize
    let floats =
      (tokens + block) * config.queryHeadSize + block * joint
      + queryBlock * keyBlock + 2 * tokens
    return floats * MemoryLayout<Float>.stride
      + PackedMatrix.byteCount(mostDepth: config.queryHeadSize, mostColumns: block)
      + PackedMatrix.byteCount(mostDepth: block, mostColumns: config.valueHeadSize)
  }

  /// Bytes that it takes more where latents are mixed too, or keys' rotated parts stand alone.
  static func mixingBytes(tokens: Int, _ config: ModelConfig) -> Int {
    tokens * config.keyValueRank * MemoryLayout<Float>.stride
      + PackedMatrix.byteCount(
        mostDepth: min(keyBlock, tokens), mostColumns: config.keyValueRank)
      + PackedMatrix.byteCount(
        mostDepth: config.ropeHeadSize, mostColumns: min(keyBlock, tokens))
  }

  /// The head's columns of `mixed` (tokens, heads · value).
  func run(
    head: Int, _ latents: Attention.Latents, lengths: [Int],
    seen: (sets: KeySets, first: Int)?, into mixed: Activations
  ) throws(Fault) {
    try makeQueries(head, latents)
    let joint = keyValue.columns
    let weight = try linear.matrix(
      attention.keyValueName, rows: head * joint..<(head + 1) * joint, worker: worker)
    let columns = head * config.valueHeadSize..<(head + 1) * config.valueHeadSize
    var start = 0
    for length in lengths {
      var largest = [Float](repeating: -.infinity, count: length)
      var sums = [Float](repeating: 0, count: length)
      let rows = start..<start + length
      var mixes = [Mix(packed: values, target: mixed.mutableView(rows, columns: columns))]
      if let packedLatents, let mixedLatents {
        mixes.append(Mix(packed: packedLatents, target: mixedLatents.mutableView(rows)))
      }
      for first in stride(from: 0, to: length, by: HeadAttention.keyBlock) {
        try Interruption.check()
        let count = min(HeadAttention.keyBlock, length - first)
        makeKeys(start + first..<start + first + count, latents, weight)
        attend(
          queries: rows, keys: first..<first + count,
          seen: seen.map { ($0.sets, $0.first + start) }, &largest, &sums, into: mixes)
      }
      for mix in mixes {
        for row in 0..<length { mix.scale(row) { $0 / sums[row] } }
      }
      start += length
    }
    if let mixedLatents {
      linear.inputs?.add(
        InputSums.squares(mixedLatents.view), rows: query.rows,
        to: InputSums.Key(attention.keyValueName, .valueHead(head)))
      if let halves {
        makeValues(mixedLatents, weight, halves, into: mixed.mutableView.columns(columns))
      }
    }
    linear.rounds?.results?.apply(to: mixed.mutableView.columns(columns))
  }

  /// Mixed latents (tokens, rank), rounded as the runtime rounds them, times the rows of a head's
  /// weight that make values.
  private func makeValues(
    _ latents: Activations, _ weight: WeightMatrix, _ halves: Rounds.Halves,
    into values: MutableFloatMatrix
  ) {
    precondition(weight.scales == nil)
    halves.mixed?.apply(to: latents.mutableView)
    let half = WeightMatrix(
      type: weight.type, rows: config.valueHeadSize, columns: weight.columns,
      storage: weight.storage, offset: weight.offset + config.nopeHeadSize * weight.rowBytes,
      rowBytes: weight.rowBytes)
    linear.multiplyExactly(latents.view, half, into: values, worker: worker)
  }

  /// What the weights of a softmax mix: a block of it, and where the sums are.
  private struct Mix {
    let packed: PackedMatrix
    let target: MutableFloatMatrix

    func scale(_ row: Int, _ change: (Float) -> Float) {
      let values = target.base + row * target.stride
      for column in 0..<target.columns { values[column] = change(values[column]) }
    }
  }

  /// Queries of the head (tokens, nope + rope), rotated and scaled for the softmax.
  private func makeQueries(_ head: Int, _ latents: Attention.Latents) throws(Fault) {
    let width = config.queryHeadSize
    try linear.projectAlone(
      latents.query.view, attention.queryName, rows: head * width..<(head + 1) * width,
      into: query.mutableView, worker: worker)
    linear.inputs?.add(
      InputSums.squares(query.view(0..<query.rows, columns: 0..<config.nopeHeadSize)),
      rows: query.rows, to: InputSums.Key(attention.keyValueName, .keyHead(head)))
    halves?.query?.apply(
      to: query.mutableView(0..<query.rows, columns: 0..<config.nopeHeadSize))
    for token in 0..<query.rows {
      attention.rotary.rotate(
        query[token].baseAddress! + config.nopeHeadSize, latents.table.cosines[token],
        latents.table.sines[token])
    }
    if let rounds = linear.rounds {
      return rounds.scale(
        query.mutableView, by: latents.queryScales, rotatedFrom: config.nopeHeadSize)
    }
    for token in 0..<query.rows {
      let q = query[token]
      let scale = latents.queryScales[token]
      for index in 0..<width { q[index] *= scale }
    }
  }

  /// Keys (tokens, nope + rope) and values (tokens, value) of some tokens, packed.
  private func makeKeys(
    _ tokens: Range<Int>, _ latents: Attention.Latents, _ weight: WeightMatrix
  ) {
    let rows = 0..<tokens.count
    let (latent, made) = (
      latents.keyValue.view(tokens), keyValue.mutableView(rows, columns: 0..<keyValue.columns)
    )
    halves == nil
      ? linear.multiply(latent, weight, into: made, worker: worker)
      : linear.multiplyExactly(latent, weight, into: made, worker: worker)
    for row in rows {
      let k = key[row].baseAddress!
      k.update(from: keyValue[row].baseAddress!, count: config.nopeHeadSize)
      (k + config.nopeHeadSize).update(
        from: latents.sharedKey[tokens.lowerBound + row].baseAddress!,
        count: config.ropeHeadSize)
    }
    if let rotatedKeys {
      rotatedKeys.pack(
        transposed: key.view(rows, columns: config.nopeHeadSize..<config.queryHeadSize))
      keys.pack(transposed: key.view(rows, columns: 0..<config.nopeHeadSize))
    } else {
      keys.pack(transposed: key.view(rows))
    }
    values.pack(keyValue.view(rows, columns: config.nopeHeadSize..<keyValue.columns))
    packedLatents?.pack(latents.keyValue.view(tokens))
  }

  /// Lets the queries of a sequence see a block of its keys: those before each and its own.
  private func attend(
    queries: Range<Int>, keys block: Range<Int>, seen chosen: (sets: KeySets, first: Int)?,
    _ largest: inout [Float], _ sums: inout [Float], into mixes: [Mix]
  ) {
    for first in stride(from: block.lowerBound, to: queries.count, by: HeadAttention.queryBlock) {
      let rows = first..<min(first + HeadAttention.queryBlock, queries.count)
      // Keys that the last of these queries sees.
      let count = min(block.upperBound, rows.upperBound) - block.lowerBound
      score(
        queries.lowerBound + rows.lowerBound..<queries.lowerBound + rows.upperBound, keys: count)
      for row in rows {
        let seen = min(count, row + 1 - block.lowerBound)
        let weights = scores[row - first]
        let visible = UnsafeMutableBufferPointer(rebasing: weights[..<seen])
        if let chosen {
          HeadAttention.hide(visible, from: block.lowerBound, chosen.sets[chosen.first + row])
        }
        let top = max(
          largest[row], VectorMath.largest(UnsafeBufferPointer(visible), level: linear.level))
        // None of these keys is seen, nor one before them.
        guard top > -.infinity || chosen == nil else {
          weights[..<count].update(repeating: 0)
          continue
        }
        let sum = VectorMath.exponentials(visible, below: top, level: linear.level)
        weights[seen..<count].update(repeating: 0)
        let kept = correction(largest[row], top)
        sums[row] = sums[row] * kept + sum
        largest[row] = top
        guard block.lowerBound > 0, kept != 1 else { continue }
        for mix in mixes { mix.scale(row) { $0 * kept } }
      }
      for mix in mixes {
        mix.packed.multiply(
          scores.view(0..<rows.count, columns: 0..<count), into: mix.target.rows(rows),
          adding: block.lowerBound > 0)
      }
    }
  }

  /// The scores of some queries and of the first keys of the block, into `scores`.
  private func score(_ queries: Range<Int>, keys count: Int) {
    let target = scores.mutableView(0..<queries.count, columns: 0..<count)
    guard let rotatedKeys else { return keys.multiply(query.view(queries), into: target) }
    let (plain, rotated) = (
      0..<config.nopeHeadSize, config.nopeHeadSize..<config.queryHeadSize
    )
    rotatedKeys.multiply(query.view(queries, columns: rotated), into: target)
    linear.rounds?.rotatedScores?.apply(to: target)
    keys.multiply(query.view(queries, columns: plain), into: target, adding: true)
  }

  /// Takes out the scores of keys that are not chosen, the first of which is the key of number
  /// `first`: the weights that a softmax gives them are 0. What remains is computed as if all were
  /// there, since a product of whole blocks takes a tenth of the time that single keys do.
  static func hide(
    _ scores: UnsafeMutableBufferPointer<Float>, from first: Int,
    _ chosen: UnsafeMutableBufferPointer<UInt64>
  ) {
    for start in stride(from: 0, to: scores.count, by: 64) {
      var hidden = ~chosen[(first + start) / 64]
      while hidden != 0 {
        let index = start + hidden.trailingZeroBitCount
        guard index < scores.count else { break }
        scores[index] = -.infinity
        hidden &= hidden - 1
      }
    }
  }

  /// exp(old − new): what sums below the old largest score are worth below the new one.
  private func correction(_ old: Float, _ new: Float) -> Float {
    guard old != new else { return 1 }
    var factor = old - new
    return withUnsafeMutablePointer(to: &factor) {
      VectorMath.exponentials(
        UnsafeMutableBufferPointer(start: $0, count: 1), below: 0, level: linear.level)
    }
  }
}
