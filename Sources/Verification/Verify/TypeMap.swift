package import Formats
package import Inspection
internal import Platform
package import Tensors

/// Which types a model's files store, and where: by layer, and by what a tensor is.
package struct TypeMap: Sendable, Hashable {
  /// Tensors that differ in their layer and expert alone.
  package struct Row: Sendable, Hashable {
    /// Their name with the layer and expert left open.
    package let name: String
    /// Bytes by type of those outside the layers.
    package fileprivate(set) var outside: [ElementType: Int] = [:]
    /// The same by layer.
    package fileprivate(set) var layers: [Int: [ElementType: Int]] = [:]

    /// Bytes of all.
    package var bytes: Int {
      ([outside] + layers.values).reduce(0) { $0 + $1.values.reduce(0, +) }
    }
  }

  /// By type, added up.
  package private(set) var types: [ElementType: Inspection.Tally] = [:]
  /// Rows outside the layers first, then in the order of their names.
  package private(set) var rows: [Row] = []

  /// Looks through a model's headers. Layers are the first number in a name, as in
  /// `model.layers.N` and `blk.N`.
  package init(_ inventory: Inventory) {
    var rows: [String: Row] = [:]
    for tensor in inventory.tensors {
      types[tensor.type, default: Inspection.Tally()].add(tensor)
      let name = FindingCollector.pattern(of: tensor.name, wholeExperts: false)
      var row = rows[name] ?? Row(name: name)
      if let layer = tensor.name.split(separator: ".").lazy.compactMap({ Int($0.text) }).first {
        row.layers[layer, default: [:]][tensor.type, default: 0] += tensor.byteCount
      } else {
        row.outside[tensor.type, default: 0] += tensor.byteCount
      }
      rows[name] = row
    }
    self.rows = rows.values.sorted {
      ($0.layers.isEmpty ? 0 : 1, $0.name) < ($1.layers.isEmpty ? 0 : 1, $1.name)
    }
  }

  /// The types with what each takes, as in `fathom.inspect/1`.
  var json: JSONValue { Inspection.json(types) }
}
