/// What IQ2 and IQ3 do with a block of 256.
extension GridSearch {
  /// Stores the F16 scale of the scales, and through the closures what belongs to a sub-block.
  ///
  /// Where llama.cpp gives up, the scale is NaN and everything else 0, so that nobody takes the
  /// block for weights.
  ///
  /// - Parameters:
  ///   - bytes: the block, all zero, with the scale first.
  ///   - clears: how many bytes are cleared again where all scales turn out to be zero.
  ///   - store: is given each sub-block that has a scale, with the words and signs of its groups.
  ///   - storeScale: is given the code of each sub-block’s scale, 0 to 15.
  func encode(
    _ x: UnsafePointer<Float>, _ importance: BlockImportance?,
    _ bytes: UnsafeMutablePointer<UInt8>, size: Int, clears: Int,
    store: (_ block: Int, Scratch) -> Void, storeScale: (_ block: Int, _ code: UInt8) -> Void
  ) {
    bytes.update(repeating: 0, count: size)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: 16) { buffer in
      let scales = buffer.baseAddress!
      guard let most = self.scales(x, importance, into: scales, store: store) else {
        bytes.update(repeating: 0, count: size)
        BlockMath.storeHalf(.nan, bytes)
        return
      }
      guard most != 0 else {
        (bytes + 2).update(repeating: 0, count: clears)
        return
      }
      let scale = most / 31
      BlockMath.storeHalf(scale * stretch, bytes)
      let inverse = 1 / scale
      for block in 0..<256 / count {
        let code = BlockMath.nearest(0.5 * (inverse * scales[block] - 1), 0, 15)
        storeScale(block, BlockMath.byte(code))
      }
    }
  }

  /// The scales of all sub-blocks; returns the largest, nil where llama.cpp gives up.
  private func scales(
    _ x: UnsafePointer<Float>, _ importance: BlockImportance?,
    into scales: UnsafeMutablePointer<Float>, store: (_ block: Int, Scratch) -> Void
  ) -> Float? {
    let meanSquare = spread * BlockMath.sumOfSquares(x, count: 256) / 256
    return Scratch.with { scratch in
      var most: Float = 0
      for block in 0..<256 / count {
        let first = block * count
        scales[block] = 0
        let largest = scratch.load(x + first, count: count, isEven: isEven) { index in
          let value = x[first + index]
          if let importance {
            return importance.weight(first + index, value, meanSquare: meanSquare)
          }
          return addsMean ? 0.25 * meanSquare + value * value : value * value
        }
        guard !(largest < tiny) else { continue }
        var (range, start) = (largest, largest / Float(2 * grid.levels - 1))
        if fitsRange {
          start = fitted(scratch)
          range = start * Float(grid.levels)
          if range <= 0 { continue }
        }
        guard var scale = scale(scratch, range: range, start: start) else { return nil }
        if scale < 0 {
          scale = -scale
          for group in 0..<count / 8 { scratch.signs[group] ^= isEven ? 127 : 255 }
        }
        store(block, scratch)
        scales[block] = scale
        most = most > scale ? most : scale
      }
      return most
    }
  }

  /// The scale for codes from 0 on that are bound to no grid.
  private func fitted(_ s: Scratch) -> Float {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) {
      ScaleSearch.positive(
        s.x, s.weights, count: count, limit: Int32(grid.levels + 1), codes: $0.baseAddress!)
    }
  }
}

extension GridSearch.Scratch {
  /// The signs of 32 elements as seven bits for each 8 of them.
  var packedSigns: UInt32 {
    (0..<4).reduce(0) { bits, group in bits | UInt32(signs[group]) << UInt32(7 * group) }
  }

  /// Takes elements and weights of a sub-block.
  ///
  /// Where the number of signs of 8 must be even and is odd, the sign that matters least turns.
  ///
  /// - Returns: the largest element.
  func load(
    _ source: UnsafePointer<Float>, count: Int, isEven: Bool, weight: (Int) -> Float
  ) -> Float {
    for index in 0..<count {
      weights[index] = weight(index)
      roots[index] = weights[index].squareRoot()
    }
    for group in 0..<count / 8 {
      var bits: UInt8 = 0
      for index in 8 * group..<8 * group + 8 {
        if source[index] >= 0 {
          x[index] = source[index]
        } else {
          x[index] = -source[index]
          bits |= 1 << UInt8(index % 8)
        }
      }
      if isEven {
        if bits.nonzeroBitCount % 2 == 1 {
          let place = leastSign(source, group)
          x[place] = -x[place]
          bits ^= 1 << UInt8(place % 8)
        }
        bits &= 127
      }
      signs[group] = bits
    }
    var largest = x[0]
    for index in 1..<count { largest = largest > x[index] ? largest : x[index] }
    return largest
  }

  /// The first of the elements of a group whose weighted square is the least.
  private func leastSign(_ source: UnsafePointer<Float>, _ group: Int) -> Int {
    func loss(_ index: Int) -> Float { weights[index] * source[index] * source[index] }
    var (least, place) = (loss(8 * group), 8 * group)
    for index in 8 * group + 1..<8 * group + 8 where loss(index) < least {
      (least, place) = (loss(index), index)
    }
    return place
  }
}
