package import Platform

/// The names of a model's files in the documents that fathom writes beside them.
package enum ListedFiles {
  /// What a manifest may have: twice that of DeepSeek-V3's 91,991 tensors.
  private static let limit = 128 << 20

  /// The companion of GGUF files: a manifest.
  package static func companion(_ name: ExactText) -> Companion {
    Companion(name) { standing throws(Fault) in
      read(try standing.beginning(limit: limit))
    }
  }

  /// The names in the manifest and the list of packed files of a folder; empty without any.
  static func names(in folder: Standing) throws(Fault) -> [ExactText] {
    var names: [ExactText] = []
    for document in [ManifestName.folder, "fathom-pack.json"] {
      let name = RawName(document)
      guard folder.entries?.contains(where: { $0.name == name }) == true else { continue }
      names += read(try folder.beginning(of: name, limit: limit)) ?? []
    }
    return names
  }

  /// The files' names in a manifest or a list of packed files; nil for anything else.
  private static func read(_ bytes: [UInt8]) -> [ExactText]? {
    var schema: String?
    var names: [ExactText]?
    do throws(Fault) {
      try JSONCursor.read(bytes) { cursor throws(Fault) in
        try cursor.members { key, cursor throws(Fault) in
          switch key {
          case "schema": schema = try cursor.string()
          case "files": names = try files(&cursor)
          case "output":
            try cursor.members { key, cursor throws(Fault) in
              if key == "files" { names = try files(&cursor) } else { try cursor.skipValue() }
            }
          default: try cursor.skipValue()
          }
        }
        try cursor.expectEnd()
      }
    } catch { return nil }
    let schemas: [StaticString] = ["fathom.manifest/", "fathom.pack/"]
    guard let schema, schemas.contains(where: RawName(schema).begins) else { return nil }
    return names
  }

  private static func files(_ cursor: inout JSONCursor) throws(Fault) -> [ExactText] {
    var names: [ExactText] = []
    try cursor.elements { cursor throws(Fault) in
      try cursor.members { key, cursor throws(Fault) in
        if key == "name" {
          names.append(ExactText(try cursor.string()))
        } else {
          try cursor.skipValue()
        }
      }
    }
    return names
  }
}
