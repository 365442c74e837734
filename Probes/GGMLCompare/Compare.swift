import Codecs
import Glibc
import Support
import Tensors

/// Compares Fathom's block codecs with ggml's own, bytes and speed, in one run:
///
///     swift run -c release ggml-compare $(scripts/build-llama ggml)/lib/libggml-base.so [TYPE…]
///
/// `ELEMENTS` sets how many elements of each number set are compared (default 262144), `SPEED=0`
/// leaves out the timing.
@main
enum Compare {
  /// Types whose encoder gives up on some blocks that are not finite.
  static let gridTypes: Set<ElementType> = [
    .iq1S, .iq1M, .iq2XXS, .iq2XS, .iq2S, .iq3XXS, .iq3S,
  ]

  static func main() {
    var arguments = CommandLine.arguments.dropFirst()
    guard let path = arguments.popFirst(), let library = dlopen(path, RTLD_NOW) else {
      print("usage: ggml-compare LIBGGML-BASE.SO [TYPE…]")
      exit(64)
    }
    let peer = Peer(library: library)
    let wanted = Set(arguments.map { $0.uppercased() })
    let asked = getenv("ELEMENTS").flatMap { Int(String(cString: $0)) } ?? 1 << 18
    let elements = (asked + 2047) / 2048 * 2048
    let timed = getenv("SPEED").map { String(cString: $0) } != "0"
    var failed = false
    for codec in Codec.table where codec.type.isBlock {
      guard wanted.isEmpty || wanted.contains(codec.type.rawValue.uppercased()) else { continue }
      let row = Comparison(codec: codec, peer: peer, elements: elements)
      failed = row.run(timed: timed) || failed
    }
    exit(failed ? 1 : 0)
  }
}

/// ggml's functions, found by name.
struct Peer {
  typealias Quantize =
    @convention(c) (
      Int32, UnsafePointer<Float>, UnsafeMutableRawPointer, Int64, Int64, Int64,
      UnsafePointer<Float>?
    ) -> Int
  typealias Dequantize =
    @convention(c) (UnsafeRawPointer, UnsafeMutablePointer<Float>, Int64) -> Void

  let library: UnsafeMutableRawPointer
  let quantize: Quantize

  init(library: UnsafeMutableRawPointer) {
    self.library = library
    quantize = unsafeBitCast(dlsym(library, "ggml_quantize_chunk"), to: Quantize.self)
  }

  func dequantizer(_ type: ElementType) -> Dequantize {
    let name = type.rawValue.lowercased().replacing("_k", with: "_K")
    return unsafeBitCast(dlsym(library, "dequantize_row_" + name), to: Dequantize.self)
  }
}

struct Comparison {
  let codec: Codec
  let peer: Peer
  let elements: Int
  var columns = 2048

  /// Prints one line per level; returns whether any byte differed.
  func run(timed: Bool) -> Bool {
    var failed = false
    for level in KernelLevel.available {
      var (text, different) = ("\(codec.type.rawValue) \(level):", 0)
      different += compareDecoding(level)
      if different > 0 { text += " \(different) values decoded differently" }
      if codec.isWritable {
        for weighted in codec.needsImportance ? [true] : [false, true] {
          for set in NumberSet.allCases {
            let count = compareEncoding(set, weighted: weighted, level)
            if count > 0 { text += " \(set)\(weighted ? "*" : ""):\(count)" }
            different += count
          }
        }
      }
      if timed { text += speeds(level) }
      print(text + (different == 0 ? " ok" : " DIFFERENT"))
      fflush(nil)
      failed = failed || different > 0
    }
    return failed
  }

  private func peerEncode(_ values: [Float], _ importance: [Float]?) -> [UInt8] {
    let count = codec.type.byteCount(elements: values.count)!
    return [UInt8](unsafeUninitializedCapacity: count) { bytes, used in
      _ = peer.quantize(
        Int32(codec.type.ggmlID!), values, bytes.baseAddress!, 0, Int64(values.count / columns),
        Int64(columns), importance)
      used = count
    }
  }

  /// The same block by block, since ggml ends the process at one that it refuses: `ours` tells which.
  private func peerEncode(
    _ values: [Float], _ importance: [Float]?, _ ours: [UInt8]
  ) -> [UInt8] {
    let layout = codec.type.block!
    let refused = (0..<values.count / layout.elements).filter { block in
      let bytes = Array(ours[block * layout.bytes..<(block + 1) * layout.bytes])
      return bytes.withUnsafeBytes { codec.firstNotFinite($0) } != nil
    }
    guard layout.elements == 256, !refused.isEmpty, Compare.gridTypes.contains(codec.type) else {
      return peerEncode(values, importance)
    }
    var theirs = ours
    let left = Set(refused)
    for block in 0..<values.count / 256 where !left.contains(block) {
      let part = Array(values[256 * block..<256 * (block + 1)])
      let start = 256 * block % columns
      let weights = importance.map { Array($0[start..<start + 256]) }
      theirs.replaceSubrange(
        block * layout.bytes..<(block + 1) * layout.bytes,
        with: Comparison(codec: codec, peer: peer, elements: elements, columns: 256)
          .peerEncode(part, weights))
    }
    return theirs
  }

  private func encode(_ values: [Float], _ importance: [Float]?, _ level: KernelLevel) -> [UInt8] {
    let count = codec.type.byteCount(elements: values.count)!
    return [UInt8](unsafeUninitializedCapacity: count) { bytes, used in
      values.withUnsafeBufferPointer { values in
        let target = UnsafeMutableRawBufferPointer(start: bytes.baseAddress, count: count)
        if let importance {
          importance.withUnsafeBufferPointer {
            codec.encode(values, columns: columns, importance: $0, into: target, level: level)
          }
        } else {
          codec.encode(values, columns: columns, importance: nil, into: target, level: level)
        }
      }
      used = count
    }
  }

  private func compareEncoding(
    _ set: NumberSet, weighted: Bool, _ level: KernelLevel
  ) -> Int {
    let piece = 1 << 18
    var different = 0
    for (index, start) in stride(from: 0, to: elements, by: piece).enumerated() {
      let values = set.values(count: min(piece, elements - start), seed: UInt64(1000 + index))
      let importance = weighted ? NumberSet.importance(count: columns, seed: 7) : nil
      let ours = encode(values, importance, level)
      let theirs = peerEncode(values, importance, ours)
      different += zip(theirs, ours).reduce(0) { $0 + ($1.0 == $1.1 ? 0 : 1) }
      if let place = theirs.indices.first(where: { theirs[$0] != ours[$0] }) {
        let size = codec.type.block!.bytes
        let at = "block \(place / size), byte \(place % size): \(theirs[place]), \(ours[place])"
        print(codec.type.rawValue, set, weighted ? "weighted" : "plain", at)
      }
    }
    return different
  }

  private func compareDecoding(_ level: KernelLevel) -> Int {
    var random = SplitMix64(state: 3)
    let count = codec.type.byteCount(elements: elements)!
    let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    var theirs = [Float](repeating: 0, count: elements)
    var ours = theirs
    peer.dequantizer(codec.type)(bytes, &theirs, Int64(elements))
    bytes.withUnsafeBytes { bytes in
      ours.withUnsafeMutableBufferPointer { codec.decode(bytes, into: $0, level: level) }
    }
    return zip(theirs, ours).reduce(0) {
      $0 + ($1.0.bitPattern == $1.1.bitPattern || $1.0.isNaN && $1.1.isNaN ? 0 : 1)
    }
  }

  private func speeds(_ level: KernelLevel) -> String {
    let count = 1 << 20
    let values = NumberSet.normal.values(count: count)
    var text = ""
    if codec.isWritable {
      let weights = NumberSet.importance(count: columns, seed: 7)
      for importance in codec.needsImportance ? [weights] : [nil, weights] {
        let theirs = rate(count) { _ = peerEncode(values, importance) }
        let ours = rate(count) { _ = encode(values, importance, level) }
        text += importance == nil ? "" : " |*"
        text += " \(theirs) → \(ours) (×\((ours / theirs * 10).rounded() / 10))"
      }
    }
    let bytes = [UInt8](repeating: 0x11, count: codec.type.byteCount(elements: count)!)
    var target = [Float](repeating: 0, count: count)
    let dequantize = peer.dequantizer(codec.type)
    let theirs = rate(count) { dequantize(bytes, &target, Int64(count)) }
    let ours = rate(count) {
      bytes.withUnsafeBytes { bytes in
        target.withUnsafeMutableBufferPointer { codec.decode(bytes, into: $0, level: level) }
      }
    }
    return text + " | decode \(theirs) → \(ours)"
  }

  /// Million elements a second of this thread's own time, the best of a few runs, as the machine is
  /// shared.
  private func rate(_ count: Int, _ body: () -> Void) -> Double {
    var best = Double.infinity
    let deadline = ContinuousClock.now + .milliseconds(300)
    repeat {
      let start = threadSeconds()
      body()
      best = min(best, threadSeconds() - start)
    } while ContinuousClock.now < deadline
    return (Double(count) / best / 1e5).rounded() / 10
  }

  private func threadSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
