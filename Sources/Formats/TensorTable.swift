package import Platform
internal import Tensors

/// Tensors that are found by their names, of which no two are the same.
package struct TensorTable: Sendable {
  /// The tensors, in the order in which they came.
  package private(set) var tensors: [StoredTensor] = []
  private var places: MarkTable

  /// Makes room for so many tensors; more find room too.
  package init(capacity: Int = 0) {
    tensors.reserveCapacity(capacity)
    places = MarkTable(capacity: capacity)
  }

  /// Takes tensors over, each with its place as its index.
  ///
  /// - Parameter twice: throws what is wrong with a tensor whose name another before it has.
  init(
    _ tensors: consuming [StoredTensor],
    twice: (_ tensor: StoredTensor, _ other: StoredTensor) throws(Fault) -> Never
  ) throws(Fault) {
    var places = MarkTable(capacity: tensors.count)
    for index in tensors.indices {
      tensors[index].index = index
      let mark = tensors[index].nameMark
      if let other = places.place(mark, { tensors[$0].name == tensors[index].name }) {
        try twice(tensors[index], tensors[other])
      }
      places.insert(mark, place: index)
    }
    self.tensors = tensors
    self.places = places
  }

  /// Puts in a tensor; one of the same name stays, and is returned.
  package mutating func add(_ tensor: StoredTensor) -> StoredTensor? {
    if let other = self[tensor.name] { return other }
    places.insert(tensor.nameMark, place: tensors.count)
    tensors.append(tensor)
    return nil
  }

  /// Puts in a tensor, in place of one of the same name.
  package mutating func put(_ tensor: StoredTensor) {
    if let place = place(of: tensor.name) {
      tensors[place] = tensor
    } else {
      _ = add(tensor)
    }
  }

  /// The place among `tensors` of the one of that name; nil where there is none.
  package func place(of name: ExactText) -> Int? { name.withBytes { place(ofBytes: $0) } }

  /// The tensor of that name; nil where there is none.
  package subscript(name: ExactText) -> StoredTensor? { place(of: name).map { tensors[$0] } }

  /// The tensor whose name is two texts, one behind the other; nil where there is none.
  package subscript(name: ExactText, suffix: ExactText) -> StoredTensor? {
    name.withBytes { name in
      suffix.withBytes { suffix in
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: name.count + suffix.count) {
          let end = $0.update(fromContentsOf: name)
          _ = $0[end...].update(fromContentsOf: suffix)
          return place(ofBytes: UnsafeBufferPointer($0)).map { tensors[$0] }
        }
      }
    }
  }

  /// The place of the tensor whose name an index has; nil where there is none.
  package func place(of entry: SafetensorsIndex.Entry, in index: SafetensorsIndex) -> Int? {
    index.withName(of: entry) { place(ofBytes: $0, mark: entry.mark) }
  }

  private func place(ofBytes bytes: UnsafeBufferPointer<UInt8>) -> Int? {
    place(ofBytes: bytes, mark: MarkTable.mark(of: bytes))
  }

  private func place(ofBytes bytes: UnsafeBufferPointer<UInt8>, mark: UInt32) -> Int? {
    places.place(mark) { place in
      tensors[place].name.withBytes { $0.count == bytes.count && $0.begins(with: bytes) }
    }
  }
}
