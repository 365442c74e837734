/// How IQ1 finds scale and codes of a sub-block: x ≈ scale · (code − 1 ± ⅛) with codes 0, 1 and 2.
///
/// In order of size the elements with code 0 come first, then those with 1, then those with 2. So all
/// ways to split the ordered elements in three are tried, with either shift.
struct SplitSearch {
  /// A way to split, its shift and scale. `shift` is 0 for all up, and of two halves 1 for the
  /// second, 2 for the first, 3 for both down; where there is one, 1 for down.
  struct Split {
    var first: Int
    var second: Int
    var shift: Int
    var scale: Float
  }

  /// The values of the codes, shifted up or down.
  static func values(isDown: Bool) -> (Float, Float, Float) {
    isDown ? (-1.125, -0.125, 0.875) : (-0.875, 0.125, 1.125)
  }

  /// The places of the elements in ascending order; those that are equal, or NaN, as merging halves
  /// leaves them.
  static func order(
    _ x: UnsafePointer<Float>, count: Int, into order: UnsafeMutablePointer<Int>
  ) {
    for index in 0..<count { order[index] = index }
    withUnsafeTemporaryAllocation(of: Int.self, capacity: count) {
      sort(x, order, count, $0.baseAddress!)
    }
  }

  private static func sort(
    _ x: UnsafePointer<Float>, _ order: UnsafeMutablePointer<Int>, _ count: Int,
    _ spare: UnsafeMutablePointer<Int>
  ) {
    guard count > 1 else { return }
    let half = count / 2
    sort(x, order, half, spare)
    sort(x, order + half, count - half, spare)
    var (low, high, place) = (0, half, 0)
    while low < half && high < count {
      // Not "at most": NaN is neither less nor more than anything.
      if !(x[order[low]] > x[order[high]]) {
        spare[place] = order[low]
        low += 1
      } else {
        spare[place] = order[high]
        high += 1
      }
      place += 1
    }
    while low < half {
      spare[place] = order[low]
      (low, place) = (low + 1, place + 1)
    }
    order.update(from: spare, count: place)
  }

  /// The best split of one run with one shift; nil where none is better than none.
  static func whole(
    _ x: UnsafePointer<Float>, _ weights: UnsafePointer<Float>, _ order: UnsafePointer<Int>,
    count: Int
  ) -> Split? {
    withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * (count + 1)) { sums in
      let (products, masses) = (sums.baseAddress!, sums.baseAddress! + count + 1)
      (products[0], masses[0]) = (0, 0)
      for place in 0..<count {
        let index = order[place]
        products[place + 1] = products[place] + weights[index] * x[index]
        masses[place + 1] = masses[place] + weights[index]
      }
      var best = -Float.greatestFiniteMagnitude
      var found: Split?
      for first in 0...count {
        for second in first...count {
          for shift in 0..<2 {
            let v = values(isDown: shift == 1)
            let product =
              (products[first] - products[0]) * v.0 + (products[second] - products[first]) * v.1
              + (products[count] - products[second]) * v.2
            let low = (masses[first] - masses[0]) * v.0 * v.0
            let middle = (masses[second] - masses[first]) * v.1 * v.1
            let square = low + middle + (masses[count] - masses[second]) * v.2 * v.2
            if square > 0 && product * product > best * square {
              let scale = product / square
              best = scale * product
              found = Split(first: first, second: second, shift: shift, scale: scale)
            }
          }
        }
      }
      return found
    }
  }

  /// The best split of 16 elements whose halves have a shift each; nil where none is better than none.
  static func halves(
    _ x: UnsafePointer<Float>, _ weights: UnsafePointer<Float>, _ order: UnsafePointer<Int>
  ) -> Split? {
    withUnsafeTemporaryAllocation(of: Half.self, capacity: 17) { sums in
      var (one, other) = (Half(), Half())
      sums[0] = Half()
      return withUnsafeTemporaryAllocation(of: Half.self, capacity: 17) { others in
        others[0] = Half()
        for place in 0..<16 {
          let index = order[place]
          if index < 8 {
            one.add(x[index], weights[index])
          } else {
            other.add(x[index], weights[index])
          }
          (sums[place + 1], others[place + 1]) = (one, other)
        }
        return best(sums.baseAddress!, others.baseAddress!)
      }
    }
  }

  /// Sums over those elements of a half that come first.
  private struct Half {
    var product: Float = 0
    var mass: Float = 0

    mutating func add(_ x: Float, _ weight: Float) {
      product += weight * x
      mass += weight
    }
  }

  private static func best(
    _ ones: UnsafePointer<Half>, _ others: UnsafePointer<Half>
  ) -> Split? {
    func sums(_ half: UnsafePointer<Half>, _ first: Int, _ second: Int, isDown: Bool) -> Half {
      let top = values(isDown: isDown).2
      // How much the squares of neighbouring values differ.
      let (low, high): (Float, Float) = isDown ? (1.25, -0.75) : (0.75, -1.25)
      return Half(
        product: half[16].product * top - (half[first].product + half[second].product),
        mass: half[16].mass * top * top + half[first].mass * low + half[second].mass * high)
    }
    var best = -Float.greatestFiniteMagnitude
    var found: Split?
    for first in 0...16 {
      for second in first...16 {
        for shift in 0..<4 {
          let one = sums(ones, first, second, isDown: shift >= 2)
          let other = sums(others, first, second, isDown: shift % 2 == 1)
          let (product, square) = (one.product + other.product, one.mass + other.mass)
          if square > 0 && product * product > best * square {
            let scale = product / square
            best = scale * product
            found = Split(first: first, second: second, shift: shift, scale: scale)
          }
        }
      }
    }
    return found
  }
}
