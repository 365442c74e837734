import Foundation
import Tensors

/// A folder for one test, removed with it.
package final class Workspace {
  /// Its path.
  package let path: String

  /// Makes an empty folder.
  package init() throws {
    let folder = URL(fileURLWithPath: NSTemporaryDirectory()).resolvingSymlinksInPath().path
    path = folder + "/fathom-test-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// A path below the folder.
  package func path(_ name: String) -> String { "\(path)/\(name)" }

  /// Writes a file below the folder and returns its path.
  @discardableResult
  package func write(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
    let data = Data(bytes)
    try FileManager.default.createDirectory(
      atPath: (path(name) as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try data.write(to: URL(fileURLWithPath: path(name)))
    return path(name)
  }

  /// Copies a sample checkpoint into the folder and returns its path.
  package func copy(sample: String) throws -> String {
    let target = path((sample as NSString).lastPathComponent)
    try FileManager.default.copyItem(atPath: Repository.samples + "/" + sample, toPath: target)
    return target
  }

  /// Names in the folder, hidden ones included, sorted.
  package func names(_ below: String = "") throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: path(below)).sorted()
  }

  /// The bytes of every file below the folder that does not lie in a hidden one.
  package func files() throws -> [String: [UInt8]] {
    var files: [String: [UInt8]] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: path) {
      let type = try FileManager.default.attributesOfItem(atPath: path(name))[.type]
      if name.hasPrefix(".") || type as? FileAttributeType != .typeRegular { continue }
      files[name] = try contents(path(name))
    }
    return files
  }
}

/// Places in the checked-out repository.
package enum Repository {
  /// Its root.
  package static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
  /// The sample checkpoints.
  package static let samples = root + "/Samples"

  /// Names of the sample checkpoints that are whole.
  /// Samples of other networks than DeepSeek-V3's own, and of other spellings of its config; what
  /// peers made of the others is checked in.
  package static let networkSamples = [
    "tiny-glm-lite", "tiny-glm5", "tiny-glm52", "tiny-kimi-k25", "tiny-mistral4", "tiny-v2",
    "tiny-v2-lite",
    "tiny-v32", "tiny-v5", "tiny-youtu",
  ]

  /// Samples with the network and the config of DeepSeek-V3 as published.
  package static var deepSeekV3Samples: [String] {
    sampleNames.filter { !networkSamples.contains($0) }
  }

  /// All samples.
  package static var sampleNames: [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: samples)) ?? []
    return names.filter { $0.hasPrefix("tiny-") }.sorted()
  }
}

/// Reads a whole file.
package func contents(_ path: String) throws -> [UInt8] {
  [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
}

/// The bytes of every file in a folder that has no folders, by name.
package func files(_ folder: String) throws -> [String: [UInt8]] {
  var files: [String: [UInt8]] = [:]
  for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
    files[name] = try contents("\(folder)/\(name)")
  }
  return files
}
