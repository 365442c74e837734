import Testing

/// The one direction of imports; SwiftPM lets a room import whatever its dependencies reach.
@Suite struct LayeringTests {
  /// What each room may import, beside the standard library.
  static let rooms: [String: Set<String>] = [
    "Locks": ["Glibc"],
    "Tensors": ["Locks"],
    "Platform": ["Locks", "CZstd", "CJSONC", "CPlatform", "Glibc", "Synchronization"],
    "Remote": ["Locks", "Platform", "CTransport", "Glibc", "Synchronization"],
    "Compression": ["Locks", "Platform", "CZstd", "CPlatform"],
    "Codecs": ["Tensors", "CKernels"],
    "Formats": ["Compression", "Locks", "Tensors", "Platform", "Synchronization"],
    "FathomFormats": ["Formats", "Tensors", "Platform"],
    "FathomCodecs": ["Codecs", "Tensors"],
    "Patterns": ["Platform"],
    "Text": ["Patterns", "Tensors", "Platform"],
    "Models": ["Patterns", "Tensors", "Platform", "Text"],
    "Naming": ["Patterns", "Tensors", "Platform", "Text", "Models"],
    "Weights": ["Locks", "Tensors", "Platform", "Formats", "Codecs", "Models", "Naming"],
    "Mixes": ["Patterns", "Tensors", "Platform", "Formats", "Codecs", "Models", "Naming"],
    "Dialects": [
      "Tensors", "Platform", "Formats", "Codecs", "Text", "Models", "Naming", "Mixes", "Weights",
    ],
    "Reports": ["Locks", "Platform", "Synchronization"],
    "Editing": ["Tensors", "Platform", "Formats", "Models", "Naming"],
    "Serving": ["Platform", "Models", "Reports"],
    "Catalogue": [
      "Mixes",
      "Tensors", "Platform", "Formats", "Codecs", "Models", "Naming", "Weights", "Dialects",
      "Reports",
    ],
    "Tiles": [
      "Locks", "Tensors", "Platform", "Formats", "Codecs", "Weights", "Dialects",
      "Synchronization",
    ],
    "Conversion": [
      "Locks", "Tensors", "Platform", "Formats", "Models", "Weights", "Dialects", "Tiles",
      "Reports", "Synchronization",
    ],
    "Transit": ["Compression", "Tensors", "Platform", "Formats", "Dialects"],
    "Reference": ["Locks", "Tensors", "Platform", "Codecs", "Models", "Synchronization"],
    "Inspection": [
      "Locks", "Tensors", "Platform", "Formats", "Codecs", "Text", "Models", "Naming", "Weights",
      "Dialects", "Conversion", "Reports", "Serving",
    ],
    "Pages": [
      "Tensors", "Platform", "Formats", "Models", "Weights", "Dialects", "Tiles", "Conversion",
      "Reports", "Inspection", "Verification", "Calibration",
    ],
    "Parts": ["Tensors", "Platform", "Formats", "Conversion", "Inspection"],
    "Passes": [
      "Locks", "Tensors", "Platform", "Formats", "Codecs", "Text", "Models", "Weights",
      "Dialects", "Reference", "Reports", "Synchronization",
    ],
    "Verification": [
      "Compression", "Locks", "Tensors", "Platform", "Formats", "Codecs", "Text", "Models",
      "Naming", "Weights",
      "Dialects", "Conversion", "Reference", "Reports", "Inspection", "Parts", "Passes",
      "Synchronization",
    ],
    "Calibration": [
      "Mixes", "Locks",
      "Tensors", "Platform", "Formats", "Codecs", "Models", "Naming", "Weights", "Dialects",
      "Conversion", "Reference", "Reports", "Parts", "Passes", "Verification",
    ],
    "fathom": [
      "Mixes",
      "ArgumentParser", "Tensors", "Platform", "Codecs", "Formats", "Models", "Naming", "Weights",
      "Dialects", "Catalogue", "Editing", "Conversion", "Transit", "Remote", "Reports", "Serving",
      "Inspection", "Pages", "Parts", "Passes", "Calibration", "Verification",
    ],
  ]

  /// Most lines of a room: one that has more holds several ideas.
  static let mostLines = 6000

  @Test(arguments: rooms.keys.sorted())
  func aRoomHoldsOneIdea(room: String) {
    let lines = SourceTree.sources.filter { $0.room == room }.reduce(0) { $0 + $1.lines.count }
    #expect((1...Self.mostLines).contains(lines), "\(room) has \(lines) lines")
  }

  /// Rooms whose code may touch raw memory: the lock, the owner of buffers, files, servers, codecs,
  /// and the loops of those that hand buffers to them.
  static let unsafeRooms: Set<String> = [
    "Locks", "Tensors", "Platform", "Remote", "Compression", "Codecs",
  ]

  @Test func everyRoomIsListed() {
    #expect(!SourceTree.sources.isEmpty)
    #expect(Set(SourceTree.sources.map(\.room)).isSubset(of: Set(LayeringTests.rooms.keys)))
  }

  @Test(arguments: SourceTree.sources)
  func importsOnlyLowerRooms(file: SourceFile) {
    let allowed = LayeringTests.rooms[file.room] ?? []
    for line in file.lines {
      let words = line.split(separator: " ")
      guard let place = words.firstIndex(of: "import"), place <= 1, words.count > place + 1 else {
        continue
      }
      let module = String(words[place + 1])
      #expect(allowed.contains(module), "\(file.path) imports \(module)")
    }
  }

  @Test(arguments: SourceTree.sources.filter { !unsafeRooms.contains($0.room) })
  func allocatesNoRawMemory(file: SourceFile) {
    for line in file.lines {
      #expect(!line.contains(".allocate("), "\(file.path): use ByteBuffer, which has an owner")
      #expect(!line.contains("OpaquePointer"), "\(file.path): C objects stay in Platform")
    }
  }
}
