package import Platform
package import Tensors

/// A tensor as a file stores it.
package struct StoredTensor: Sendable, Hashable {
  /// Its name in the file's own dialect.
  package let name: ExactText
  /// Storage of its elements.
  package let type: ElementType
  /// Its dimensions, outermost first.
  package let shape: Shape
  /// First byte, counted from the start of the file.
  package let offset: Int
  /// Bytes that it takes.
  package let byteCount: Int
  // There are 92,000 of them in a large model, and everything copies them: numbers are as short as
  // their limits, and what is seldom there stands elsewhere.
  private var shortShard: Int32
  private var shortIndex: Int32 = 0
  /// The name's mark, for tables of names.
  let nameMark: UInt32
  private var arranged = Arranged.plainly

  /// How its bytes lie in the file.
  private indirect enum Arranged: Sendable, Hashable {
    case plainly
    case so(Arrangement)
  }

  /// Makes a record; a parser has checked that the range lies inside the file.
  package init(
    name: ExactText, type: ElementType, shape: Shape, shard: Int, offset: Int, byteCount: Int
  ) {
    self.name = name
    nameMark = name.withBytes(MarkTable.mark)
    self.type = type
    self.shape = shape
    shortShard = Int32(clamping: shard)
    self.offset = offset
    self.byteCount = byteCount
  }

  /// Index of its file in `Inventory.shards`.
  package internal(set) var shard: Int {
    get { Int(shortShard) }
    set { shortShard = Int32(clamping: newValue) }
  }

  /// Index in `Inventory.tensors`, once it is in one; a slice has the index of the whole.
  package internal(set) var index: Int {
    get { Int(shortIndex) }
    set { shortIndex = Int32(clamping: newValue) }
  }

  /// How its bytes lie in the file; nil where they lie there as they are seen.
  package private(set) var arrangement: Arrangement? {
    get { if case .so(let arrangement) = arranged { arrangement } else { nil } }
    set { arranged = newValue.map(Arranged.so) ?? .plainly }
  }
}

extension StoredTensor {
  /// The same place under another name.
  package func renamed(_ name: ExactText) -> StoredTensor {
    part(named: name, type, shape, from: 0, byteCount: byteCount)
  }

  private func part(
    named name: ExactText, _ type: ElementType, _ shape: Shape, from start: Int, byteCount: Int
  ) -> StoredTensor {
    var part = StoredTensor(
      name: name, type: type, shape: shape, shard: shard, offset: offset + start,
      byteCount: byteCount)
    part.index = index
    precondition(arranged == .plainly || byteCount == self.byteCount, "parts of it lie apart")
    part.arranged = arranged
    return part
  }

  /// The same bytes as a matrix of another type whose columns are the file's lines; nil where they do
  /// not fill it.
  package func seen(
    as type: ElementType, _ shape: Shape, _ arrangement: Arrangement
  ) -> StoredTensor? {
    guard arrangement.byteCount == byteCount, var tensor = seen(as: type, shape) else { return nil }
    tensor.arrangement = arrangement
    return tensor
  }

  /// Where in its file a byte of it stands, as it is seen.
  package func place(ofByte byte: Int) -> Int {
    offset + (arrangement?.place(ofByte: byte) ?? byte)
  }

  /// The same bytes as elements of another type, as where codes of 4 bits stand in U32 words; nil
  /// where these do not fill them. Foreign types have no size of their own and can only be shaped
  /// anew.
  package func seen(as type: ElementType, _ shape: Shape) -> StoredTensor? {
    let isSame = type == self.type && shape.elementCount == self.shape.elementCount
    guard isSame || type.byteCount(elements: shape.elementCount) == byteCount else { return nil }
    return part(named: name, type, shape, from: 0, byteCount: byteCount)
  }

  /// Equal numbers of rows of a matrix, one below the other, all under its name; nil where it cannot
  /// be divided so.
  package func rowParts(_ count: Int) -> [StoredTensor]? {
    guard arrangement == nil, shape.dimensions.count == 2, count > 0,
      shape.dimensions[0] % count == 0,
      let inner = Shape([shape.dimensions[0] / count, shape.dimensions[1]]), byteCount % count == 0
    else { return nil }
    let size = byteCount / count
    return (0..<count).map { part(named: name, type, inner, from: $0 * size, byteCount: size) }
  }

  /// The numbers of a vector, each as a matrix of one, all under its name; nil where it is none.
  package var numbers: [StoredTensor]? {
    guard shape.dimensions.count < 2, type.bits >= 8, !type.isBlock, let one = Shape([1, 1]) else {
      return nil
    }
    return seen(as: type, Shape([shape.elementCount, 1]) ?? one)?.rowParts(shape.elementCount)
  }

  /// The tensors that one of (count, …) stacks, all under its name; nil where it is none of such.
  package func slices(_ count: Int) -> [StoredTensor]? {
    guard arrangement == nil, shape.dimensions.count > 1, shape.dimensions[0] == count, count > 0,
      let inner = Shape(Array(shape.dimensions.dropFirst())), byteCount % count == 0
    else { return nil }
    let size = byteCount / count
    return (0..<count).map {
      part(named: name, type, inner, from: $0 * size, byteCount: size)
    }
  }
}

/// One file of a checkpoint whose header has been read and checked.
package struct Shard: Sendable {
  /// File name below the checkpoint's folder.
  package let name: ExactText
  /// The open file.
  package let file: InputFile
  /// Free-form metadata of the header, in the order in which it stands there.
  package let metadata: [(key: String, value: String)]

  /// Makes a record of an open file.
  package init(name: ExactText, file: InputFile, metadata: [(key: String, value: String)]) {
    self.name = name
    self.file = file
    self.metadata = metadata
  }
}

/// All tensors of a checkpoint, by name. A value that exists has no duplicate names.
package struct Inventory: Sendable {
  /// The files, in the order of their names.
  package private(set) var shards: [Shard]
  /// The tensors by their names, shard after shard, in the order of their bytes.
  package let table: TensorTable

  /// Joins the tensors of all shards.
  ///
  /// - Throws: `.malformed` where a name stands twice.
  package init(shards: [Shard], tensors: consuming [StoredTensor]) throws(Fault) {
    try Inventory.requireRoom(for: tensors.count)
    table = try TensorTable(consume tensors) { tensor, other throws(Fault) in
      throw Fault(
        .malformed, "stands twice in the checkpoint", file: shards[tensor.shard].file.path,
        tensor: tensor.name, found: "also in \(shards[other.shard].name)")
    }
    self.shards = shards
    Console.step(
      "found \(table.tensors.count) tensors, "
        + "\(ByteSize.shown(table.tensors.reduce(0) { $0 + $1.byteCount })) in all, in files: "
        + "\(shards.count)")
  }

  /// The tensors, shard after shard, in the order of their bytes.
  package var tensors: [StoredTensor] { table.tensors }

  /// Tensors that a checkpoint may have: ten times those of DeepSeek-V3.
  static let tensorLimit = 1_000_000

  /// Throws `.malformed` where so many tensors would be too many, so that headers cannot fill memory.
  package static func requireRoom(for count: Int) throws(Fault) {
    guard count <= tensorLimit else {
      throw Fault(.malformed, "has too many tensors", expected: "at most \(tensorLimit)")
    }
  }

  /// The same tensors, those of some shards being read from other files that have the same bytes.
  package func reading(_ files: [Int: InputFile]) -> Inventory {
    var other = self
    for (shard, file) in files {
      other.shards[shard] = Shard(
        name: shards[shard].name, file: file, metadata: shards[shard].metadata)
    }
    return other
  }

  /// The tensor of that name, nil where there is none.
  package subscript(name: ExactText) -> StoredTensor? { table[name] }

  /// The index of the tensor of that name, nil where there is none.
  package func index(of name: ExactText) -> Int? { table.place(of: name) }

  /// Reads bytes of a tensor, as it is seen, counted from its own start.
  package func read(
    _ tensor: StoredTensor, from start: Int = 0, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Fault) {
    precondition(start >= 0 && start + buffer.count <= tensor.byteCount)
    do throws(Fault) {
      let file = shards[tensor.shard].file
      guard let arrangement = tensor.arrangement else {
        return try file.read(at: tensor.offset + start, into: buffer)
      }
      try arrangement.read(from: start, into: buffer) { place, bytes throws(Fault) in
        try file.read(at: tensor.offset + place, into: bytes)
      }
    } catch {
      var fault = error
      fault.tensor = tensor.name
      throw fault
    }
  }

  /// Reads a whole tensor.
  package func read(_ tensor: StoredTensor) throws(Fault) -> ByteBuffer {
    let buffer = ByteBuffer(count: tensor.byteCount)
    try read(tensor, into: buffer.bytes)
    return buffer
  }
}
