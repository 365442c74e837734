package import Codecs
package import Formats
internal import Models
package import Platform
package import Tensors

/// A weight of a network, however its files hold it.
package struct SourceWeight: Sendable, Hashable {
  /// Its Hugging Face name, or its own where the network has none of that name.
  package let name: ExactText
  /// Its dimensions, outermost first.
  package let shape: Shape
  /// What it is put together from.
  package let assembly: Assembly

  /// Names a weight; the sizes agree.
  package init(_ name: ExactText, _ shape: Shape, _ assembly: Assembly) {
    precondition(assembly.rows * assembly.columns == shape.elementCount)
    self.name = name
    self.shape = shape
    self.assembly = assembly
  }

  /// A stored tensor under a name.
  package init(_ name: ExactText, _ tensor: StoredTensor, scaling: Scaling? = nil) {
    self.init(name, tensor.shape, Assembly(tensor, scaling: scaling))
  }

  /// A matrix that is put together.
  package init(_ name: ExactText, _ assembly: Assembly) {
    guard let shape = Shape([assembly.rows, assembly.columns]) else {
      preconditionFailure("what is stored has a size")
    }
    self.init(name, shape, assembly)
  }

  /// How it is stored, or the first part of it.
  package var type: ElementType { assembly.first.tensor.type }
  /// Whether it is a matrix or a norm's vector, which no network has wholly zero.
  package var cannotBeZero: Bool {
    shape.dimensions.count > 1 || name.hasSuffix("norm.weight")
  }
  /// Bytes that it takes, scales apart.
  package var byteCount: Int {
    var bytes = 0
    assembly.forEachLeaf { tensor, _ in bytes += tensor.byteCount }
    return bytes
  }
}

/// All weights of a model under Hugging Face's names, whatever its format: what a reader of a
/// format makes of the tensors in its files, and all that everything else asks for.
package struct SourceWeights: Sendable {
  /// Element types of weights that are numbers by themselves.
  package static let plainTypes: [ElementType] = [.bf16, .f16, .f32]

  /// The tensors as the files have them.
  package let inventory: Inventory
  /// The weights, in the order of their bytes.
  package let all: [SourceWeight]
  /// Tensors that repeat what a weight is made of, as some formats have it in several files; they
  /// are not read.
  package let copies: [Copy]
  /// What is wrong with tensors that should be weights and cannot be, by the weight's name.
  package let faults: [ExactText: Fault]
  /// Tensors that belong to weights and hold none of their values: shapes, scales of activations.
  package let companions: [StoredTensor]
  /// Numbers of layers that the names have.
  package let layers: Set<Int>
  /// Places in `all` of weights that are a stored tensor of their own name, by its index; −1 for none.
  private let places: [Int32]
  /// Places of all others.
  private let others: [ExactText: Int]

  /// Collects what a reader found.
  ///
  /// - Throws: `.malformed` where two weights have one name.
  package init(
    _ inventory: Inventory, _ weights: [SourceWeight], faults: [ExactText: Fault] = [:],
    companions: [StoredTensor] = [], copies: [Copy] = []
  ) throws(Fault) {
    // Most names are those of stored tensors: looking them up there saves a second table of them.
    var places = [Int32](repeating: -1, count: inventory.tensors.count)
    var others: [ExactText: Int] = [:]
    var layers: Set<Int> = []
    var last: Int?
    for (index, weight) in weights.enumerated() {
      if let layer = ModelConfig.layer(of: weight.name), layer != last {
        layers.insert(layer)
        last = layer
      }
      if case .stored(let tensor, _) = weight.assembly.form, tensor.name == weight.name {
        places[tensor.index] = Int32(index)
      } else if let other = others.updateValue(index, forKey: weight.name) {
        throw SourceWeights.twice(weight, weights[other], inventory)
      }
    }
    for (name, index) in others {
      guard let tensor = inventory[name], places[tensor.index] >= 0 else { continue }
      throw SourceWeights.twice(weights[index], weights[Int(places[tensor.index])], inventory)
    }
    self.inventory = inventory
    all = weights
    self.layers = layers
    self.copies = copies
    self.faults = faults
    self.companions = companions
    self.places = places
    self.others = others
  }

  private static func twice(
    _ weight: SourceWeight, _ other: SourceWeight, _ inventory: Inventory
  ) -> Fault {
    let tensor = weight.assembly.first.tensor
    return Fault(
      .malformed, "stands twice in the checkpoint",
      file: inventory.shards[tensor.shard].file.path, tensor: tensor.name,
      found: "also as \(other.assembly.first.tensor.name)")
  }

  /// The weight of that name; nil where there is none, or none that can be one.
  package subscript(name: ExactText) -> SourceWeight? { place(of: name).map { all[$0] } }

  /// The place in `all` of the weight of that name; nil as above.
  package func place(of name: ExactText) -> Int? {
    if let index = inventory.index(of: name), places[index] >= 0 { return Int(places[index]) }
    return others[name]
  }

  /// The weight of that name.
  ///
  /// - Throws: `.malformed` where it is missing or is not what a weight can be.
  package func weight(_ name: ExactText) throws(Fault) -> SourceWeight {
    // One that is there may have something beside it that changes its numbers.
    if let fault = faults[name] { throw fault }
    if let weight = self[name] { return weight }
    throw Fault(
      .malformed, "is missing from the checkpoint",
      file: inventory.shards.first.map { Folder.parent(of: $0.file.path) }, tensor: name)
  }

  /// The path of the file that holds a stored tensor.
  package func path(of tensor: StoredTensor) -> String { inventory.shards[tensor.shard].file.path }

  /// Rows of a weight seen as a matrix, in F32: (rows.count, columns).
  ///
  /// - Throws: `.inputOutput` where reading fails.
  package func values(_ weight: SourceWeight, rows: Range<Int>) throws(Fault) -> ByteBuffer {
    try weight.assembly.values(rows: rows, from: inventory)
  }

  /// What scales some rows of a stored matrix of so many columns.
  ///
  /// - Throws: `.inputOutput` where reading fails.
  package func scales(
    _ scaling: Scaling, rows: Range<Int>, width: Int
  ) throws(Fault) -> BlockScales {
    try AssemblyReader(
      inventory: inventory, scratch: UnsafeMutableRawBufferPointer(start: nil, count: 0),
      turned: []
    ) { _ in
    }.scales(scaling, rows: rows, width: width)
  }
}

extension Assembly {
  /// Rows in F32: (rows.count, columns).
  ///
  /// - Throws: `.inputOutput` where reading fails.
  package func values(
    rows: Range<Int>, from inventory: Inventory
  ) throws(Fault) -> ByteBuffer {
    let result = ByteBuffer(count: rows.count * columns * MemoryLayout<Float>.size)
    guard let start = result.bytes.bindMemory(to: Float.self).baseAddress else { return result }
    let areas = (0...turns).map { _ in
      ByteBuffer(count: AssemblyReader.chunk * MemoryLayout<Float>.size)
    }
    try AssemblyReader(
      inventory: inventory, scratch: areas[0].bytes,
      turned: areas.dropFirst().map { $0.bytes.bindMemory(to: Float.self) }
    ) { _ in
    }.decode(
      self, rows: rows, columns: 0..<columns,
      into: MutableFloatMatrix(start, rows: rows.count, columns: columns))
    withExtendedLifetime(areas) {}
    return result
  }
}

extension SourceWeights {
  /// Says that a weight will be read after those named before, where its files lie elsewhere.
  package func fetchAhead(_ weight: SourceWeight?) {
    weight?.assembly.forEachStored { inventory.fetchAhead($0) }
  }
}
