internal import Formats
internal import Platform
internal import Tensors

/// One output on its way: files of a layout, in a hidden folder until all of them are complete.
struct FileWriting {
  private let tensors: [TensorInfo]
  private let layout: OutputLayout
  /// The file that says where tensors are, and its name.
  private let index: (name: ExactText, bytes: [UInt8])?

  init(
    _ tensors: [TensorInfo], _ layout: OutputLayout, index: (name: ExactText, bytes: [UInt8])? = nil
  ) {
    self.tensors = tensors
    self.layout = layout
    self.index = index
  }

  /// What a layout places.
  ///
  /// - Throws: `.malformed` for a shape that no file can have, and for a name that stands twice.
  static func entries(
    _ tensors: [TensorInfo], for path: String
  ) throws(FormatError) -> [OutputLayout.Entry] {
    var names: Set<ExactText> = []
    var entries: [OutputLayout.Entry] = []
    for tensor in tensors {
      let name = ExactText(tensor.name)
      guard let shape = Shape(tensor.shape),
        let entry = OutputLayout.Entry(name: name, type: tensor.type.inner, shape: shape)
      else {
        throw FormatError(
          .malformed, "has rows that are no whole number of blocks, or an impossible shape",
          file: path, tensor: tensor.name, found: "\(tensor.shape) of \(tensor.type)")
      }
      guard names.insert(name).inserted else {
        throw FormatError(.malformed, "is to be written twice", file: path, tensor: tensor.name)
      }
      entries.append(entry)
    }
    return entries
  }

  /// Writes the files and gives them their names.
  func run(
    to path: String, asFolder: Bool, overwrite: Bool, source: SafetensorsWriter.Source
  ) throws(FormatError) {
    try FormatError.wrapping { () throws(Fault) in
      let destination = try OutputPath(path, overwrite: overwrite)
      try destination.requireSpace(layout.files.reduce(0) { $0 + $1.byteCount })
      // A single file has the name that was asked for, whatever the layout calls it.
      let isAlone = !asFolder && layout.files.count == 1
      let names = isAlone ? [Folder.name(of: destination.path)] : layout.files.map(\.name)
      try WorkFolder.writing(to: destination, form: asFolder ? .folder : .files(names)) {
        work throws(Fault) in
        for (file, name) in zip(layout.files, names) {
          try write(file, named: name, in: work, source)
        }
        if let index { try work.write(index.name, index.bytes) }
      }
    }
  }

  private func write(
    _ file: OutputLayout.File, named name: ExactText, in work: WorkFolder,
    _ source: SafetensorsWriter.Source
  ) throws(Fault) {
    let output = try work.create(name)
    try output.append(file.header)
    try requireReadable(name, in: work)
    for (index, offset) in zip(file.tensors, file.offsets) {
      try pad(output, to: offset)
      do throws(FormatError) {
        var tensor = TensorOutput(
          tensors[index], byteCount: layout.entries[index].byteCount, to: output)
        try source(tensors[index], &tensor)
        try tensor.requireComplete()
      } catch { throw error.fault }
    }
    try pad(output, to: file.byteCount)
    try output.finish()
  }

  /// Throws where a header breaks a rule of its format, such as a key that is empty or values that are
  /// nested too deeply, which only who reads it knows: before a tensor is written.
  private func requireReadable(_ name: ExactText, in work: WorkFolder) throws(Fault) {
    guard let file = try work.read(name), try GGUFHeader.isGGUF(file) else { return }
    do throws(Fault) { _ = try GGUFHeader(file, shard: 0) } catch {
      var fault = error
      fault.file = work.finalPlace(of: name)
      throw fault
    }
  }

  private func pad(_ output: OutputFile, to place: Int) throws(Fault) {
    if output.count < place {
      try output.append([UInt8](repeating: 0, count: place - output.count))
    }
  }
}
