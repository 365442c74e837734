package import Formats
internal import Models
package import Naming
package import Platform
package import Tensors

/// The tensors of DeepSeek's model-parallel shards, each with the pieces of it that the shards hold.
package struct NativePieces: Sendable {
  /// A tensor of the network.
  package struct Tensor: Sendable {
    /// Its Hugging Face name.
    package let name: ExactText
    /// Its name in the shards.
    package let native: ExactText
    /// How it is divided.
    package let division: NativeNames.Division
    /// Its pieces with the numbers of their shards, in the order of these.
    package fileprivate(set) var pieces: [(rank: Int, tensor: StoredTensor)] = []

    /// That of the first shard which has one.
    package var first: StoredTensor { pieces[0].tensor }
  }

  /// Shards that the model is divided into.
  package let count: Int
  /// The tensors, in the order in which they were met.
  package private(set) var tensors: [Tensor] = []
  /// Those that the dialect does not name, by their own names and the numbers of their shards.
  package private(set) var strangers: [(name: ExactText, rank: Int, tensor: StoredTensor)] = []
  /// Pieces that a shard has twice.
  package private(set) var duplicates:
    [(native: ExactText, tensor: StoredTensor, other: StoredTensor)] = []
  /// The names that shards of this network have.
  package let naming: NativeNaming
  private let document: JSONValue
  private var indices: [ExactText: Int] = [:]

  /// Sorts the tensors of files.
  ///
  /// - Parameters:
  ///   - stored: tensors, each under the stem of its file and its own name.
  ///   - files: names of the files by `StoredTensor.shard`, all of one division.
  ///   - document: the config beside them.
  package init(_ stored: [StoredTensor], files: [ExactText], document: JSONValue) {
    self.document = document
    naming = NativeNaming(document: document)
    let shards = files.map { NativeShardName($0) }
    count = shards.first??.count ?? 1
    for tensor in stored {
      guard let shard = shards[tensor.shard],
        let native = tensor.name.without(prefix: "\(shard.stem)/")
      else { continue }
      guard let translation = naming.own(of: native) else {
        strangers.append((native, shard.rank, tensor))
        continue
      }
      let index = indices[translation.name] ?? tensors.count
      if index == tensors.count {
        indices[translation.name] = index
        tensors.append(
          Tensor(name: translation.name, native: native, division: translation.division))
      }
      if let other = tensors[index].pieces.first(where: { $0.rank == shard.rank }) {
        duplicates.append((native, tensor, other.tensor))
      } else {
        tensors[index].pieces.append((shard.rank, tensor))
      }
    }
    // Files are met by their names, where 10 comes before 2.
    for index in tensors.indices { tensors[index].pieces.sort { $0.rank < $1.rank } }
  }

  /// The tensor of that Hugging Face name; nil where no shard has a piece of it.
  package subscript(name: ExactText) -> Tensor? { indices[name].map { tensors[$0] } }

  /// MTP layers of which there is something, after so many decoder layers.
  package func mtpLayers(after layers: Int) -> Int {
    ModelConfig.furtherLayers(after: layers, in: tensors.lazy.map(\.name))
  }

  /// The Hugging Face config that the document beside the shards amounts to: DeepSeek's own, or
  /// Hugging Face's, which may declare MTP layers that DeepSeek's code leaves out.
  package func config(file: String) throws(Fault) -> (json: JSONValue, notes: [String]) {
    let wholes = tensors.map { tensor in
      NativeSource.Whole(name: tensor.name, type: tensor.first.type, shape: shape(of: tensor))
    }
    guard !NativeSource.isNative(document) else {
      let source = try NativeSource(document, tensors: wholes, file: file)
      return (source.json, source.notes)
    }
    guard !V4Shards.isConfig(document) else {
      return (V4Shards.sayingPlainOutput(document, tensors: wholes), [])
    }
    guard case .object(var object) = document,
      case .integer(let layers)? = object["num_hidden_layers"], layers >= 0
    else { return (document, []) }
    object["num_nextn_predict_layers"] = .integer(mtpLayers(after: layers))
    return (.object(object), [])
  }

  /// The shape of a tensor whose pieces are alike; that of its first one where it would be too large.
  package func shape(of tensor: Tensor) -> Shape {
    var dimensions = tensor.first.shape.dimensions
    let side: Int
    switch tensor.division {
    case .replicated, .expert: return tensor.first.shape
    case .rows: side = 0
    case .columns: side = 1
    }
    guard dimensions.indices.contains(side) else { return tensor.first.shape }
    let (size, overflow) = dimensions[side].multipliedReportingOverflow(by: count)
    dimensions[side] = size
    return (overflow ? nil : Shape(dimensions)) ?? tensor.first.shape
  }
}
