package import Platform
package import Tensors

/// The header of a GGUF file, wholly checked: keys and names are unique, sizes follow from type and
/// shape, and the tensors lie one after the other with nothing but alignment between them.
///
/// Layout (GGUF 3, little-endian): `GGUF`, version, number of tensors, number of metadata entries;
/// the entries; a description of each tensor; zeros up to the alignment; the data.
package struct GGUFHeader: Sendable {
  /// Format versions that are read: 2 differs from 3 in nothing but big-endian files.
  package static let versions: ClosedRange<UInt32> = 2...3
  /// The first four bytes of every file.
  package static let magic = Array("GGUF".utf8)
  /// What tensors are aligned to where `general.alignment` does not say.
  package static let defaultAlignment = 32
  /// Most bytes of a tensor's name; GGML itself reads 63.
  private static let nameLimit = 1024
  /// Tensors and metadata entries that are read; a file of DeepSeek-V3 has 1,100 and 60.
  private static let tensorLimit = 200_000
  private static let entryLimit = 65_536

  /// The format's version.
  package let version: UInt32
  /// Everything beside the tensors, in order.
  package let metadata: Metadata
  /// Tensors in the order of their bytes; offsets count from the start of the file.
  package let tensors: [StoredTensor]
  /// Numbers of types that are in no table, by the names of tensors that have them.
  package let unknownTypes: [ExactText: UInt32]
  /// Sizes that the file may have: up to the end of the last tensor, or of its padding.
  package let possibleSizes: ClosedRange<Int>
  /// Where the descriptions of tensors stand.
  package let descriptions: Range<Int>
  /// Where the tensors' bytes begin, or would.
  package let dataStart: Int

  /// Whether a file begins as GGUF files do.
  package static func isGGUF(_ file: InputFile) throws(Fault) -> Bool {
    guard file.size >= magic.count else { return false }
    return try file.read(at: 0, count: magic.count) == magic
  }

  /// Reads and checks the header of an open file.
  ///
  /// - Parameter shard: the index that the tensors will carry.
  /// - Throws: `.malformed` with tensor and offset of what is wrong; `.inputOutput` where reading
  ///   fails.
  package init(_ file: InputFile, shard: Int) throws(Fault) {
    self = try file.parsed(as: .gguf) { () throws(Fault) in
      try GGUFHeader(parsing: file, shard: shard)
    }
  }

  private init(parsing file: InputFile, shard: Int) throws(Fault) {
    var cursor = GGUFCursor(file)
    version = try GGUFHeader.readVersion(&cursor)
    let tensorCount = try cursor.count(of: "tensors", size: 24)
    let entryCount = try cursor.count(of: "metadata entries", size: 14)
    guard tensorCount <= GGUFHeader.tensorLimit, entryCount <= GGUFHeader.entryLimit else {
      throw cursor.fault(
        "has too many tensors or metadata", at: 8,
        expected: "at most \(GGUFHeader.tensorLimit) and \(GGUFHeader.entryLimit)",
        found: "\(tensorCount) and \(entryCount)")
    }
    metadata = try GGUFHeader.readMetadata(&cursor, count: entryCount)
    let alignment = try GGUFHeader.alignment(metadata, cursor)
    let first = cursor.position
    var tensors: [Description] = []
    tensors.reserveCapacity(tensorCount)
    var names: Set<ExactText> = []
    for _ in 0..<tensorCount {
      let description = try GGUFHeader.readDescription(&cursor, alignment: alignment)
      guard names.insert(description.name).inserted else {
        throw Fault(
          .malformed, "stands twice in the header", file: file.path, tensor: description.name,
          offset: UInt64(description.place))
      }
      tensors.append(description)
    }
    descriptions = first..<cursor.position
    guard let start = cursor.position.roundedUp(to: alignment) else {
      throw cursor.fault("has an impossible alignment", found: "\(alignment)")
    }
    dataStart = start
    unknownTypes = Dictionary(
      uniqueKeysWithValues: tensors.filter { $0.type == .unknown }.map {
        ($0.name, $0.number)
      })
    (self.tensors, possibleSizes) = try GGUFHeader.lay(
      tensors, from: start, alignment: alignment, headerEnd: cursor.position, file: file,
      shard: shard)
  }

  /// Throws where the file does not end where its tensors end.
  package func requireSize(of file: InputFile) throws(Fault) {
    guard !possibleSizes.contains(file.size) else { return }
    let isShort = file.size < possibleSizes.lowerBound
    let difference =
      isShort ? possibleSizes.lowerBound - file.size : file.size - possibleSizes.upperBound
    throw Fault(
      .malformed,
      isShort ? "is \(difference) bytes short" : "has \(difference) bytes after its last tensor",
      file: file.path, offset: UInt64(min(file.size, possibleSizes.upperBound)),
      expected: "\(possibleSizes.upperBound) bytes", found: "\(file.size)")
  }

  /// Throws where a file that is going to be written has more than is read of one.
  static func requireReadable(_ file: OutputLayout.File) throws(Fault) {
    guard file.header.count <= GGUFCursor.headerLimit, file.tensors.count <= tensorLimit else {
      throw Fault(
        .malformed, "would have too long a header for so many tensors", file: file.name.text,
        expected: "at most \(GGUFCursor.headerLimit) bytes and \(tensorLimit) tensors",
        found: "\(file.header.count) and \(file.tensors.count)")
    }
  }

  /// A tensor as the header describes it.
  private struct Description {
    let name: ExactText
    let type: ElementType
    /// The type's number in the file.
    let number: UInt32
    let shape: Shape
    /// Nil for a foreign type: its bytes reach up to the next tensor.
    let byteCount: Int?
    /// Counted from the start of the data.
    let offset: Int
    /// Where the description stands.
    let place: Int
  }

  private static func readVersion(_ cursor: inout GGUFCursor) throws(Fault) -> UInt32 {
    guard cursor.file.size >= magic.count, Array(try cursor.bytes(magic.count)) == magic else {
      throw Fault(
        .malformed, "is not a GGUF file", file: cursor.file.path, offset: 0, expected: "\"GGUF\"")
    }
    let version = try cursor.word()
    if version & 0xFFFF == 0, version != 0 {
      throw cursor.fault("is big-endian", at: 4, expected: "a little-endian file")
    }
    guard versions.contains(version) else {
      throw cursor.fault(
        "has another version of the format", at: 4,
        expected: "\(versions.lowerBound) or \(versions.upperBound)", found: "\(version)")
    }
    return version
  }

  private static func readMetadata(
    _ cursor: inout GGUFCursor, count: Int
  ) throws(Fault) -> Metadata {
    var metadata = Metadata()
    for _ in 0..<count {
      let start = cursor.position
      let key = try cursor.string("metadata key")
      guard !key.isEmpty else { throw cursor.fault("has an empty metadata key", at: start) }
      guard metadata[key] == nil else {
        throw cursor.fault("has a metadata key twice", at: start, found: key)
      }
      do throws(Fault) {
        metadata[key] = try cursor.value(try cursor.kind())
      } catch {
        var fault = error
        fault.found = [fault.found, "metadata key \"\(key)\""].compactMap { $0 }
          .joined(separator: ", ")
        throw fault
      }
    }
    return metadata
  }

  private static func alignment(
    _ metadata: Metadata, _ cursor: GGUFCursor
  ) throws(Fault) -> Int {
    guard let value = metadata["general.alignment"] else { return defaultAlignment }
    guard case .uint32(let alignment) = value, alignment.nonzeroBitCount == 1 else {
      throw cursor.fault(
        "has an impossible general.alignment", expected: "a power of two as uint32",
        found: "\(value)")
    }
    return Int(alignment)
  }

  private static func readDescription(
    _ cursor: inout GGUFCursor, alignment: Int
  ) throws(Fault) -> Description {
    let place = cursor.position
    let name = ExactText(try cursor.string("tensor name"))
    guard name.utf8.count <= nameLimit else {
      throw cursor.fault(
        "has too long a tensor name", at: place, expected: "at most \(nameLimit) bytes",
        found: "\(name.utf8.count)")
    }
    do throws(Fault) {
      let shape = try readShape(&cursor)
      let number = try cursor.word()
      let type = ElementType(ggmlID: number) ?? ElementType(foreignID: number)
      let byteCount = type.byteCount(elements: shape.elementCount)
      guard (shape.dimensions.last ?? 1) % type.blockElements == 0,
        byteCount != nil || type.isForeign
      else {
        throw cursor.fault(
          "has rows that are no whole number of blocks, or a size that overflows", at: place,
          found: "\(shape) of \(type.rawValue)")
      }
      let offsetPlace = cursor.position
      let offset = try cursor.unsigned(8)
      guard offset % UInt64(alignment) == 0, offset <= UInt64(ModelBudget.fileBytes)
      else {
        throw cursor.fault(
          "has an impossible data offset", at: offsetPlace,
          expected: "a multiple of \(alignment)", found: "\(offset)")
      }
      return Description(
        name: name, type: type, number: number, shape: shape, byteCount: byteCount,
        offset: Int(offset), place: place)
    } catch {
      var fault = error
      fault.tensor = name
      throw fault
    }
  }

  private static func readShape(_ cursor: inout GGUFCursor) throws(Fault) -> Shape {
    let place = cursor.position
    let rank = try cursor.word()
    guard rank <= UInt32(GGUFShape.rankLimit) else {
      throw cursor.fault(
        "has too many dimensions", at: place, expected: "at most \(GGUFShape.rankLimit)",
        found: "\(rank)")
    }
    var extents: [Int] = []
    for _ in 0..<rank {
      let extent = try cursor.unsigned(8)
      guard let extent = Int(exactly: extent) else {
        throw cursor.fault("has an impossible dimension", at: place, found: "\(extent)")
      }
      extents.append(extent)
    }
    guard let shape = GGUFShape.shape(ofExtents: extents) else {
      throw cursor.fault(
        "has a shape whose product overflows, or of no elements in too many rows", at: place,
        found: "{" + extents.map(String.init).joined(separator: ", ") + "}")
    }
    return shape
  }
}

extension GGUFHeader {
  /// Places the tensors in the file: sorted by offset they have to follow one another.
  private static func lay(
    _ descriptions: [Description], from start: Int, alignment: Int, headerEnd: Int,
    file: InputFile, shard: Int
  ) throws(Fault) -> (tensors: [StoredTensor], sizes: ClosedRange<Int>) {
    var tensors: [StoredTensor] = []
    tensors.reserveCapacity(descriptions.count)
    var end = 0
    var next = 0
    let order = descriptions.sorted {
      ($0.offset, $0.byteCount ?? .max) < ($1.offset, $1.byteCount ?? .max)
    }
    let whole = max(0, file.size - start)
    for (place, tensor) in order.enumerated() {
      guard tensor.offset == next else {
        throw Fault(
          .malformed,
          tensor.offset < next ? "overlaps the tensor before it" : "leaves a hole before it",
          file: file.path, tensor: tensor.name, offset: UInt64(tensor.place),
          expected: "data offset \(next)", found: "\(tensor.offset)")
      }
      // What a foreign type takes, only the next tensor or the end of the file tells.
      let following = place + 1 < order.count ? order[place + 1].offset : whole
      let byteCount = tensor.byteCount ?? max(0, following - tensor.offset)
      let (sum, overflow) = tensor.offset.addingReportingOverflow(byteCount)
      guard !overflow, sum <= ModelBudget.fileBytes, let padded = sum.roundedUp(to: alignment)
      else {
        throw Fault(
          .malformed, "ends beyond any file", file: file.path, tensor: tensor.name,
          offset: UInt64(tensor.place), found: "\(byteCount) bytes")
      }
      tensors.append(
        StoredTensor(
          name: tensor.name, type: tensor.type, shape: tensor.shape, shard: shard,
          offset: start + tensor.offset, byteCount: byteCount))
      (end, next) = (sum + start, padded)
    }
    // A file without tensors may end with its header.
    return (tensors, tensors.isEmpty ? headerEnd...start : end...(start + next))
  }
}

extension Int {
  /// The next multiple of a positive number; nil where it overflows.
  package func roundedUp(to multiple: Int) -> Int? {
    let (sum, overflow) = addingReportingOverflow(multiple - 1)
    return overflow ? nil : sum / multiple * multiple
  }
}
