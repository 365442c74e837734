import Conversion
import Dialects
import Foundation
import Platform
import Support
import Testing
import Transit

/// Files beside the weights that somebody exchanges after a conversion has looked at them.
@Suite struct ExchangedFileTests {
  private let workspace: Workspace
  private let model: String

  init() throws {
    workspace = try Workspace()
    model = try workspace.copy(sample: "tiny-bf16")
    let size = try contents(model + "/tokenizer.json").count
    try workspace.write("secret", [UInt8](repeating: UInt8(ascii: "S"), count: size))
  }

  /// What stands where the tokenizer stood when its copy is due.
  enum Exchange: CaseIterable {
    case linkOut, otherFile, otherContents
  }

  private func exchange(_ exchange: Exchange) throws {
    let path = model + "/tokenizer.json"
    switch exchange {
    case .linkOut:
      try FileManager.default.removeItem(atPath: path)
      try FileManager.default.createSymbolicLink(
        atPath: path, withDestinationPath: "../secret")
    case .otherFile:
      let before = try FileManager.default.attributesOfItem(atPath: path)
      // It is kept, so that its number on the disk is not given to the other one.
      try FileManager.default.moveItem(atPath: path, toPath: workspace.path("aside"))
      try FileManager.default.copyItem(atPath: workspace.path("secret"), toPath: path)
      let time = try #require(before[.modificationDate])
      try FileManager.default.setAttributes([.modificationDate: time], ofItemAtPath: path)
    case .otherContents:
      let file = try #require(FileHandle(forWritingAtPath: path))
      try file.write(contentsOf: Data("S".utf8))
      try file.close()
    }
  }

  private func expectRefusal(_ run: () throws -> Void) throws {
    let fault = try #require(throws: Fault.self) { try run() }
    #expect(fault.kind == .malformed)
    #expect(fault.file == model + "/tokenizer.json")
    #expect(!FileManager.default.fileExists(atPath: workspace.path("out")))
  }

  @Test(arguments: Exchange.allCases)
  func aConversionCopiesNoOther(_ exchange: Exchange) throws {
    let source = try SourceModel(path: model, threads: 1)
    let plan = try Plan(
      source, recipe: Recipe(weights: .bf16), resources: Resources(threads: 1))
    try self.exchange(exchange)
    let place = try OutputPath(workspace.path("out"), overwrite: false)
    try expectRefusal { _ = try plan.run(from: source, to: place) }
  }

  @Test(arguments: Exchange.allCases)
  func packingCopiesNoOther(_ exchange: Exchange) throws {
    let source = try PackableModel(path: model, threads: 1)
    try self.exchange(exchange)
    let place = try OutputPath(workspace.path("out"), overwrite: false)
    try expectRefusal { _ = try source.pack(to: place, threads: 1) { _, _ in } }
  }

  @Test(arguments: Exchange.allCases)
  func unpackingCopiesNoOther(_ exchange: Exchange) throws {
    let packed = try OutputPath(workspace.path("packed"), overwrite: false)
    _ = try PackableModel(path: model, threads: 1).pack(to: packed, threads: 1) { _, _ in }
    try FileManager.default.removeItem(atPath: model)
    try FileManager.default.moveItem(atPath: workspace.path("packed"), toPath: model)
    let source = try PackedModel(path: model)
    try self.exchange(exchange)
    let place = try OutputPath(workspace.path("out"), overwrite: false)
    try expectRefusal { _ = try source.unpack(to: place, threads: 1) { _, _ in } }
  }
}
