/// What IQ1 does with a block of 256.
struct TernarySearch {
  /// Elements of a sub-block: 32 with one shift, or 16 with one for each half.
  let count: Int
  /// Below this a sub-block counts as all zero.
  let tiny: Float

  /// What was found for a sub-block.
  struct Found {
    let words: UnsafeMutablePointer<UInt16>
    /// As `SplitSearch.Split` has it.
    var shift = 0
  }

  /// - Parameters:
  ///   - bytes: the block, which the closures fill.
  ///   - store: is given each sub-block that has a scale.
  ///   - finish: is given the largest scale, which is not zero, and all of them; NaN where llama.cpp
  ///     gives up, with all bytes zero.
  func encode(
    _ x: UnsafePointer<Float>, _ importance: BlockImportance?,
    _ bytes: UnsafeMutablePointer<UInt8>, size: Int,
    store: (_ block: Int, Found) -> Void,
    finish: (_ most: Float, _ scales: UnsafePointer<Float>) -> Void
  ) {
    bytes.update(repeating: 0, count: size)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: 16 + 32) { floats in
      withUnsafeTemporaryAllocation(of: UInt16.self, capacity: 4) { words in
        let (scales, weights) = (floats.baseAddress!, floats.baseAddress! + 16)
        let meanSquare = 2 * BlockMath.sumOfSquares(x, count: 256) / 256
        var most: Float = 0
        for block in 0..<256 / count {
          let part = x + block * count
          load(part, importance, block, meanSquare, into: weights)
          scales[block] = 0
          var largest: Float = part[0].magnitude
          for index in 1..<count {
            largest = largest > part[index].magnitude ? largest : part[index].magnitude
          }
          guard !(largest < tiny), let split = split(part, weights, words.baseAddress!) else {
            continue
          }
          var found = Found(words: words.baseAddress!)
          guard let scale = settle(part, weights, split, &found) else {
            bytes.update(repeating: 0, count: size)
            return finish(.nan, scales)
          }
          store(block, found)
          scales[block] = scale
          most = most > scale ? most : scale
        }
        if most != 0 { finish(most, scales) }
      }
    }
  }

  private func load(
    _ x: UnsafePointer<Float>, _ importance: BlockImportance?, _ block: Int, _ meanSquare: Float,
    into weights: UnsafeMutablePointer<Float>
  ) {
    for index in 0..<count {
      weights[index] =
        importance?.weight(block * count + index, x[index], meanSquare: meanSquare)
        ?? x[index] * x[index]
    }
  }

  /// The best split, its codes in `words`, the scale not negative; nil where there is none.
  private func split(
    _ x: UnsafePointer<Float>, _ weights: UnsafePointer<Float>,
    _ words: UnsafeMutablePointer<UInt16>
  ) -> SplitSearch.Split? {
    withUnsafeTemporaryAllocation(of: Int.self, capacity: count) { buffer in
      let order = buffer.baseAddress!
      SplitSearch.order(x, count: count, into: order)
      let best =
        count == 32
        ? SplitSearch.whole(x, weights, order, count: count)
        : SplitSearch.halves(x, weights, order)
      guard var split = best else { return nil }
      let isMirrored = split.scale < 0
      words.update(repeating: 0, count: count / 8)
      for place in 0..<count {
        let code: UInt16 = place < split.first ? 0 : place < split.second ? 1 : 2
        let index = order[place]
        words[index / 8] |= (isMirrored ? 2 - code : code) << UInt16(2 * (index % 8))
      }
      if isMirrored {
        split.scale = -split.scale
        split.shift = (count == 32 ? 1 : 3) - split.shift
      }
      return split
    }
  }

  /// Moves codes to points of the grid; returns the scale that is best then, nil where llama.cpp
  /// gives up.
  private func settle(
    _ x: UnsafePointer<Float>, _ weights: UnsafePointer<Float>, _ split: SplitSearch.Split,
    _ found: inout Found
  ) -> Float? {
    found.shift = split.shift
    var isMoved = false
    for group in 0..<count / 8 {
      guard PointGrid.iq1.indices[Int(found.words[group])] == PointGrid.none else { continue }
      isMoved = true
      let values = SplitSearch.values(isDown: isDown(split.shift, group))
      guard
        let word = nearest(
          x + 8 * group, weights + 8 * group, found.words[group], values, split.scale)
      else { return nil }
      found.words[group] = word
    }
    var scale = split.scale
    if isMoved {
      var (product, square): (Float, Float) = (0, 0)
      for index in 0..<count {
        let values = SplitSearch.values(isDown: isDown(split.shift, index / 8))
        let value = TernarySearch.value(found.words[index / 8], index % 8, values)
        product += weights[index] * value * x[index]
        square += weights[index] * value * value
      }
      if product > 0 && square > 0 { scale = product / square }
    }
    return scale.isNaN ? nil : scale
  }

  private func isDown(_ shift: Int, _ group: Int) -> Bool {
    count == 32 ? shift == 1 : group == 0 ? shift >= 2 : shift % 2 == 1
  }

  @inline(__always)
  private static func value(
    _ word: UInt16, _ element: Int, _ values: (Float, Float, Float)
  ) -> Float {
    let code = word >> UInt16(2 * element) & 3
    return code == 0 ? values.0 : code == 1 ? values.1 : values.2
  }

  /// The nearest of the points around a word.
  private func nearest(
    _ x: UnsafePointer<Float>, _ weights: UnsafePointer<Float>, _ word: UInt16,
    _ values: (Float, Float, Float), _ scale: Float
  ) -> UInt16? {
    var cell = 0
    for element in (0..<8).reversed() { cell = 3 * cell + Int(word >> UInt16(2 * element) & 3) }
    let place = Int(PointGrid.iq1.cells[cell])
    var best = Float.greatestFiniteMagnitude
    var found: UInt16?
    for index in place >> 10 * 16..<place >> 10 * 16 + place >> 1 & 511 {
      let word = PointGrid.iq1.lists[index]
      var distance: Float = 0
      for element in 0..<8 {
        let difference = scale * TernarySearch.value(word, element, values) - x[element]
        distance += weights[element] * difference * difference
      }
      if distance < best { (best, found) = (distance, word) }
    }
    return found
  }

  /// The scale of the scales that is best for what a block holds.
  func finalScale(
    _ x: UnsafePointer<Float>, _ importance: BlockImportance?,
    _ bytes: UnsafeMutablePointer<UInt8>, _ start: Float, _ scales: UnsafePointer<Float>
  ) -> Float {
    let meanSquare = 2 * BlockMath.sumOfSquares(x, count: 256) / 256
    var (product, square): (Float, Float) = (0, 0)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { buffer in
      let weights = buffer.baseAddress!
      for block in 0..<256 / count {
        let part = x + block * count
        let code = BlockMath.nearest(0.5 * (1 / start * scales[block] - 1), 0, 7)
        let place = 48 + block / 4 * 2
        let step = UInt16(code) << UInt16(3 * (block % 4))
        BlockMath.store16(BlockMath.load16(bytes + place) | step, bytes + place)
        load(part, importance, block, meanSquare, into: weights)
        for index in 0..<count {
          let bits = bytes[32 + block] >> UInt8(index / 8 * 4)
          let point = Int(bytes[2 * block + index / 8]) | Int(bits & 7) << 8
          let shift: Float = bits & 8 == 0 ? 0.125 : -0.125
          let value = (BlockGrid.iq1.values[8 * point + index % 8] + shift) * Float(2 * code + 1)
          product += weights[index] * value * part[index]
          square += weights[index] * value * value
        }
      }
    }
    return square > 0 ? product / square : start
  }
}
