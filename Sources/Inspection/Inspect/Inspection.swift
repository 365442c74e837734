internal import Codecs
internal import Conversion
package import Dialects
package import Formats
package import Models
package import Platform
package import Serving
package import Tensors
package import Text
internal import Weights

/// What is in a checkpoint, from its headers alone (schema `fathom.inspect/1`).
package struct Inspection: Sendable {
  /// Tensors of one storage type, or of one layer, added up.
  package struct Tally: Sendable, Hashable {
    /// Number of tensors.
    package var tensors = 0
    /// Number of elements.
    package var elements = 0
    /// Bytes stored.
    package var bytes = 0

    /// An empty sum.
    package init() {}

    /// Counts a tensor in.
    package mutating func add(_ tensor: StoredTensor) {
      add(tensor.shape.elementCount, bytes: tensor.byteCount)
    }

    mutating func add(_ elements: Int, bytes: Int) {
      tensors += 1
      self.elements += elements
      self.bytes += bytes
    }
  }

  /// One stored layer.
  package struct Layer: Sendable {
    /// What its MLP is, or that it predicts further tokens.
    package enum Kind: String, Sendable {
      case dense, moe, mtp
    }

    /// Its number in the names.
    package let index: Int
    /// What it is.
    package let kind: Kind
    /// Weights, scales apart.
    package var parameters = 0
    /// Weights that one token multiplies.
    package var activePerToken = 0
    var knownExperts: Set<Int> = []
    /// Weights of the routed experts.
    package var expertParameters = 0
    /// Bytes of the routed experts, with their scales.
    package var expertBytes = 0
    /// Storage types of the routed experts' weights.
    package var expertTypes: Set<ElementType> = []
    /// Everything stored, by type.
    package var types: [ElementType: Tally] = [:]
  }

  /// The config as declared; nil for a network of another family, of which tensors alone are shown.
  package let config: ModelConfig?
  /// `model_type` of the config, or the architecture of a GGUF file; `unknown` where nothing says.
  package let architecture: String
  /// Whether parameters and layers are those that the config implies, and not those of the tensors.
  package private(set) var isImplied = false
  /// What the weights are quantized by, where that is not decoded.
  package private(set) var foreignStorage: String?
  /// Why some of it is not known, a line each.
  package private(set) var reasons: [String] = []
  /// All tensors.
  package private(set) var total = Tally()
  /// Number of files; 0 for a config alone.
  package let shards: Int
  /// Bytes that the files take where they are packed; nil where they are not.
  package let packedBytes: Int?
  /// Bytes of the files that packed ones stand for.
  let unpackedBytes: Int
  /// By storage type.
  package private(set) var types: [ElementType: Tally] = [:]
  /// Stored layers in order; those that the config does not declare but that are there included.
  package private(set) var layers: [Layer] = []
  /// Weights by what they belong to; nil for those of MTP layers.
  package private(set) var partParameters: [ExpectedTensor.Part?: Int] = [:]
  /// Weights outside MTP layers, scales apart.
  package private(set) var mainParameters = 0
  /// Weights of the MTP layers, copies of embedding and head included.
  package private(set) var mtpParameters = 0
  /// Those copies.
  package private(set) var mtpCopies = 0
  /// Scales of quantized weights: no parameters.
  package private(set) var scales = 0
  /// Types of the scales of blocks, rows or matrices.
  private(set) var scaleTypes: Set<ElementType> = []
  /// Weights of the main model that one token multiplies: all but the routed experts it is not sent
  /// to and the embedding table, unless that is the head too.
  package private(set) var activePerToken = 0
  /// The same as if every routed expert were used.
  package private(set) var denseActivePerToken = 0
  /// Weights that are stored in groups, by the scheme.
  package private(set) var schemes: [String: Int] = [:]
  /// Tensors that neither the config nor an undeclared MTP layer explains.
  package private(set) var unexplained = Tally()
  /// Tensors of other parts of the model that the network is a part of, such as vision.
  package private(set) var others = Tally()
  /// Tensors in the order of their bytes, for listings.
  package let tensors: [StoredTensor]

  /// What a GGUF file says that it was quantized as; nil where it says nothing, and for others.
  var fileType: GGUFFileType?
  /// Tokens at which the cost of one more is told; nil where that was not asked.
  package var context: Int?
  /// Sequences that are served at a time; nil where nothing of serving was asked.
  package var batch: Int?
  /// Devices that the model is to be served by; nil where that was not asked.
  package var devices: Devices?
  /// Bytes of the weights by how they are divided among devices; nil where they are not known one by
  /// one.
  private(set) var servingWeights: ServingWeights?
  /// What the files are: a word of `ModelFormat`, or `config`.
  package let format: String
  /// What turns texts into token ids, by the names of files and keys alone; nil for nothing.
  package let tokenizer: String?
  /// What the tokenizer's own files or keys say; nil where they were not looked at, or cannot be read.
  package internal(set) var tokenizerFacts: TokenizerFacts?
  /// What the files say beside their tensors.
  package internal(set) var metadata: [MetadataRow] = []

  private init(
    _ inventory: Inventory?, config: ModelConfig?, architecture: String, format: String,
    tokenizer: String?
  ) {
    self.config = config
    self.architecture = architecture
    self.format = format
    self.tokenizer = tokenizer
    let files = inventory?.shards.map(\.file) ?? []
    shards = files.count
    let isPacked = files.contains(where: \.showsAnother)
    packedBytes = isPacked ? files.reduce(0) { $0 + $1.storedSize } : nil
    unpackedBytes = files.reduce(0) { $0 + $1.size }
    tensors = inventory?.tensors ?? []
    var tallies = TypeTallies()
    for tensor in tensors {
      total.add(tensor)
      tallies.add(tensor)
    }
    types = tallies.types
  }

  /// Looks through a model's headers.
  package init(_ files: SourceModel, threads: Int) throws(Fault) {
    let config = files.config
    self.init(
      files.checkpoint.inventory, config: config,
      architecture: files.format == .gguf
        ? config.architecture.ggufName
        : Inspection.modelType(files.checkpoint.config) ?? config.modelType,
      format: files.format.rawValue, tokenizer: files.tokenizerSummary)
    let places = TensorPlaces(config)
    servingWeights = ServingWeights()
    let empty = self
    // Each tensor's layer; −1 outside them, nil where no weight is known to be made of it.
    let unknown = [Int32?](repeating: nil, count: tensors.count)
    let parts = try Workers.parts(threads: threads, of: files.weights.all.count, least: 8192) {
      var (part, owners) = (empty, unknown)
      for index in $0 {
        let weight = files.weights.all[index]
        guard let place = places.place(of: weight.name) else { continue }
        part.add(weight, place, config, &owners)
      }
      return (part, owners)
    }
    var owners = unknown
    for (part, others) in parts {
      add(part)
      // A stack is one tensor and holds the weights of many: the first one's place counts.
      for index in owners.indices where owners[index] == nil { owners[index] = others[index] }
    }
    var tallies = [TypeTallies](repeating: TypeTallies(), count: layers.count)
    for (tensor, owner) in zip(tensors, owners) {
      if let layer = owner, layer >= 0 { tallies[Int(layer)].add(tensor) }
    }
    for (weight, tensor) in files.weights.copies.lazy.map({ ($0.weight, $0.tensor) }) {
      guard let place = places.place(of: weight) else { continue }
      owners[tensor.index] = -1
      if let layer = place.layer { tallies[layer].add(tensor) }
    }
    for layer in layers.indices { layers[layer].types = tallies[layer].types }
    for tensor in files.weights.companions { owners[tensor.index] = -1 }
    for index in tensors.indices where owners[index] == nil {
      let tensor = tensors[index]
      if config.isOther(tensor.name) { others.add(tensor) } else { unexplained.add(tensor) }
    }
    layers.removeAll { $0.kind == .mtp && $0.types.isEmpty }
  }

  /// Looks through headers of which nobody knows what weights they amount to: of another network, or
  /// of weights in a storage that is not read.
  ///
  /// - Parameters:
  ///   - config: the config where the network is known: parameters are those that it implies.
  ///   - storage: what the weights are quantized by.
  ///   - reasons: why the tensors alone are shown, a line each.
  init(
    tensorsOf inventory: Inventory, config: ModelConfig?, architecture: String,
    format: ModelFormat, tokenizer: String?, storage: String?, reasons: [String]
  ) {
    self.init(
      inventory, config: config, architecture: architecture, format: format.rawValue,
      tokenizer: tokenizer)
    foreignStorage = storage
    self.reasons = reasons
    guard let config else { return }
    isImplied = true
    for tensor in config.expectedTensors() { add(tensor, config) }
    for tensor in tensors {
      let name = format == .gguf ? nil : config.ownName(of: tensor.name)
      guard let layer = name.flatMap(ModelConfig.layer), layer < layers.count else { continue }
      layers[layer].types[tensor.type, default: Tally()].add(tensor)
    }
  }

  /// What a config implies, without any weights.
  init(config: ModelConfig, architecture: String, tokenizer: String?, reasons: [String]) {
    self.init(
      nil, config: config, architecture: architecture, format: "config", tokenizer: tokenizer)
    isImplied = true
    self.reasons = reasons
    servingWeights = ServingWeights()
    for tensor in config.expectedTensors() {
      add(tensor, config)
      for (type, shape) in config.storage(of: tensor) {
        let bytes = tally(type, shape, tensor.layer)
        servingWeights?.add(
          bytes, of: tensor.part, named: tensor.name, layer: tensor.layer, in: config)
      }
    }
  }

  /// Adds to why some of it is not known.
  mutating func add(reasons: [String]) { self.reasons += reasons }

  /// Counts stored elements; returns their bytes.
  private mutating func tally(_ type: ElementType, _ shape: Shape, _ layer: Int?) -> Int {
    let bytes = type.byteCount(elements: shape.elementCount) ?? 0
    func add(to tally: inout Tally) { tally.add(shape.elementCount, bytes: bytes) }
    add(to: &total)
    add(to: &types[type, default: Tally()])
    if let layer { add(to: &layers[layer].types[type, default: Tally()]) }
    return bytes
  }

  /// Counts a tensor that a config implies.
  private mutating func add(_ tensor: ExpectedTensor, _ config: ModelConfig) {
    guard tensor.storage != .scale else {
      scales += tensor.shape.elementCount
      return
    }
    let place = TensorPlace(of: tensor)
    let count = tensor.shape.elementCount
    if let layer = place.layer {
      while layers.count <= layer { layers.append(Layer(index: layers.count, config: config)) }
      layers[layer].add(count, place, config)
    }
    add(count, place, config)
  }

  static func modelType(_ config: JSONValue) -> String? {
    if case .string(let type)? = config["model_type"] { type } else { nil }
  }

  private mutating func add(
    _ weight: SourceWeight, _ place: TensorPlace, _ config: ModelConfig, _ owners: inout [Int32?]
  ) {
    func own(_ tensor: StoredTensor) {
      if owners[tensor.index] == nil { owners[tensor.index] = Int32(place.layer ?? -1) }
    }
    let count = weight.shape.elementCount
    if let scheme = weight.assembly.scheme { schemes[scheme.description, default: 0] += 1 }
    var bytes = 0
    weight.assembly.forEachLeaf { tensor, scaling in
      bytes += tensor.byteCount
      own(tensor)
      if let scaling, scaling.scheme == nil { scaleTypes.insert(scaling.scales.type) }
      scaling?.forEachStored {
        scales += $0.shape.elementCount
        bytes += $0.byteCount
        own($0)
      }
    }
    servingWeights?.add(
      bytes, of: place.part, named: weight.name, layer: place.layer, in: config)
    if let layer = place.layer {
      while layers.count <= layer { layers.append(Layer(index: layers.count, config: config)) }
      layers[layer].add(count, place, config)
      if place.expert != nil {
        layers[layer].expertBytes += bytes
        layers[layer].expertTypes.insert(weight.type)
      }
    }
    add(count, place, config)
  }

  /// Adds what was counted of other weights.
  private mutating func add(_ other: Inspection) {
    for (own, layer) in zip(layers.indices, other.layers) { layers[own].add(layer) }
    layers += other.layers.dropFirst(layers.count)
    partParameters.merge(other.partParameters, uniquingKeysWith: +)
    schemes.merge(other.schemes, uniquingKeysWith: +)
    scaleTypes.formUnion(other.scaleTypes)
    scales += other.scales
    mainParameters += other.mainParameters
    mtpParameters += other.mtpParameters
    mtpCopies += other.mtpCopies
    activePerToken += other.activePerToken
    denseActivePerToken += other.denseActivePerToken
    if let more = other.servingWeights { servingWeights?.add(more) }
  }

  /// Counts parameters of the whole.
  private mutating func add(_ count: Int, _ place: TensorPlace, _ config: ModelConfig) {
    let isMTP = (place.layer ?? 0) >= config.layers
    partParameters[isMTP ? nil : place.part, default: 0] += count
    if isMTP {
      mtpParameters += count
      if place.part == .embeddingCopy || place.part == .headCopy { mtpCopies += count }
      return
    }
    mainParameters += count
    guard place.part != .embedding || config.tiedEmbeddings else { return }
    denseActivePerToken += count
    activePerToken += config.activeShare(of: place, count)
  }
}
