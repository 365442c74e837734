import Codecs
import Glibc
import Tensors

/// Quantizes a matrix for `scripts/interop_checks/groups.py`, which knows what a peer makes of it.
///
///     group-codes SCHEME TYPE ROWS COLUMNS [GLOBAL-SCALE] < weights > codes, scales, offsets
///
/// SCHEME is one of `GroupScheme.table`, or `fp8-ROWSxCOLUMNS` for blocks of FP8 with scales in the
/// weights' type. Every kernel level computes the parts, together and alone; exit 1 if any differ.
@main
enum GroupCodes {
  static func main() {
    let arguments = CommandLine.arguments
    guard arguments.count >= 5, let type = ElementType(rawValue: arguments[2]),
      let rows = Int(arguments[3]), let columns = Int(arguments[4])
    else { exit(64) }
    let input = readAll()
    let name = arguments[1]
    if let scheme = GroupScheme.table.first(where: { $0.description == name }) {
      let scale = arguments.count > 5 ? Float(arguments[5]) ?? 1 : 1
      let work = Work(input: input, type: type, rows: rows, columns: columns)
      write(work.groups(GroupQuantizer(scheme, globalScale: scale)))
    } else if name.hasPrefix("fp8-") {
      let block = name.dropFirst(4).split(separator: "x").compactMap { Int($0) }
      guard block.count == 2 else { exit(64) }
      let work = Work(input: input, type: type, rows: rows, columns: columns)
      write(work.blocks(rows: block[0], columns: block[1]))
    } else {
      exit(64)
    }
  }

  private static func readAll() -> [UInt8] {
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = read(0, &part, part.count)
      guard count > 0 else { return bytes }
      bytes += part[..<count]
    }
  }

  private static func write(_ bytes: [UInt8]) {
    var start = 0
    while start < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.write(1, $0.baseAddress! + start, $0.count - start)
      }
      guard count > 0 else { exit(74) }
      start += count
    }
  }
}

/// A matrix of weights as it is stored.
struct Work {
  let input: [UInt8]
  let type: ElementType
  let rows: Int
  let columns: Int

  /// codes, scales and offsets; ends the process where levels or parts disagree.
  func groups(_ quantizer: GroupQuantizer) -> [UInt8] {
    let scheme = quantizer.scheme
    let codes = rows * scheme.codeBytes(columns: columns)
    let scales = scheme.scaleBytes(rows: rows, columns: columns, type: type)
    let offsets = scheme.offsetBytes(rows: rows, columns: columns, type: type)
    let sizes = [0..<codes, codes..<codes + scales, codes + scales..<codes + scales + offsets]
    return agreed("\(scheme)") { level, bytes in
      bytes = [UInt8](repeating: 0xA5, count: sizes[2].upperBound)
      bytes.withUnsafeMutableBytes { bytes in
        let parts = sizes.map { UnsafeMutableRawBufferPointer(rebasing: bytes[$0]) }
        let last = offsets == 0 ? nil : parts[2]
        let outputs =
          level == .plain
          ? [GroupOutput(codes: parts[0], scales: parts[1], offsets: last)]
          : [
            GroupOutput(codes: parts[0]), GroupOutput(scales: parts[1]), GroupOutput(offsets: last),
          ]
        input.withUnsafeBytes { source in
          for output in outputs {
            quantizer.quantize(
              source, type: type, rows: rows, columns: columns, into: output, level: level)
          }
        }
      }
    }
  }

  /// codes and scales in F32
  func blocks(rows blockRows: Int, columns blockColumns: Int) -> [UInt8] {
    let quantizer = BlockQuantizer(
      blockRows: blockRows, blockColumns: blockColumns, scaleFormat: .sourceType)
    let grid = quantizer.gridRows(rows: rows) * quantizer.gridColumns(columns: columns)
    return agreed("fp8") { level, bytes in
      var scales = [Float](repeating: 0, count: grid)
      bytes = [UInt8](repeating: 0xA5, count: rows * columns)
      input.withUnsafeBytes { source in
        scales.withUnsafeMutableBufferPointer {
          quantizer.findScales(
            source, type: type, rows: rows, columns: columns, into: $0, level: level)
        }
        scales.withUnsafeBufferPointer { scales in
          bytes.withUnsafeMutableBytes {
            quantizer.encode(
              source, type: type, rows: rows, columns: columns, scales: scales, into: $0,
              level: level)
          }
        }
      }
      scales.withUnsafeBytes { bytes += $0 }
    }
  }

  private func agreed(_ name: String, _ body: (KernelLevel, inout [UInt8]) -> Void) -> [UInt8] {
    var first: [UInt8]?
    for level in KernelLevel.available {
      var bytes: [UInt8] = []
      body(level, &bytes)
      if let first, first != bytes {
        let place = first.indices.first { first[$0] != bytes[$0] } ?? 0
        print("\(name) \(level): byte \(place) of \(bytes.count) differs from plain")
        exit(1)
      }
      first = first ?? bytes
    }
    return first ?? []
  }
}
