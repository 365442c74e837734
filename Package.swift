// swift-tools-version: 6.3
import PackageDescription

// Every Swift target is held to the same language rules; none needs a flag from the user.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("ExistentialAny"),
  .treatAllWarnings(as: .error),
]

let arguments: Target.Dependency = .product(
  name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
  name: "fathom",
  products: [
    .executable(name: "fathom", targets: ["fathom"]),
    .library(name: "FathomFormats", targets: ["FathomFormats"]),
    .library(name: "FathomCodecs", targets: ["FathomCodecs"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CJSONC", pkgConfig: "json-c", providers: [.apt(["libjson-c-dev"])]),
    .target(name: "CPlatform"),
    .target(
      name: "CKernels",
      linkerSettings: [.linkedLibrary("m")]),
    .target(name: "CTransport", linkerSettings: [.linkedLibrary("dl")]),
    .target(name: "Locks", swiftSettings: strict),
    .target(name: "Tensors", dependencies: ["Locks"], swiftSettings: strict),
    .target(
      name: "Platform", dependencies: ["Locks", "CZstd", "CJSONC", "CPlatform"],
      swiftSettings: strict),
    .target(
      name: "Remote", dependencies: ["Locks", "Platform", "CTransport"], swiftSettings: strict),
    .target(
      name: "Compression", dependencies: ["Locks", "Platform", "CZstd", "CPlatform"],
      swiftSettings: strict),
    .target(name: "Codecs", dependencies: ["Tensors", "CKernels"], swiftSettings: strict),
    .target(
      name: "Formats", dependencies: ["Compression", "Locks", "Tensors", "Platform"],
      swiftSettings: strict),
    .target(
      name: "FathomFormats", dependencies: ["Formats", "Tensors", "Platform"],
      swiftSettings: strict),
    .target(name: "FathomCodecs", dependencies: ["Codecs", "Tensors"], swiftSettings: strict),
    .target(name: "Patterns", dependencies: ["Platform"], swiftSettings: strict),
    .target(
      name: "Text", dependencies: ["Patterns", "Tensors", "Platform"], swiftSettings: strict),
    .target(
      name: "Models", dependencies: ["Patterns", "Tensors", "Platform", "Text"],
      swiftSettings: strict),
    .target(
      name: "Naming", dependencies: ["Patterns", "Tensors", "Platform", "Text", "Models"],
      swiftSettings: strict),
    .target(
      name: "Weights",
      dependencies: ["Locks", "Tensors", "Platform", "Formats", "Codecs", "Models", "Naming"],
      swiftSettings: strict),
    .target(
      name: "Mixes",
      dependencies: ["Patterns", "Tensors", "Platform", "Formats", "Codecs", "Models", "Naming"],
      swiftSettings: strict),
    .target(
      name: "Dialects",
      dependencies: [
        "Tensors", "Platform", "Formats", "Codecs", "Text", "Models", "Naming", "Mixes", "Weights",
      ],
      swiftSettings: strict),
    .target(name: "Reports", dependencies: ["Locks", "Platform"], swiftSettings: strict),
    .target(
      name: "Editing", dependencies: ["Tensors", "Platform", "Formats", "Models", "Naming"],
      swiftSettings: strict),
    .target(
      name: "Serving", dependencies: ["Platform", "Models", "Reports"], swiftSettings: strict),
    .target(
      name: "Catalogue",
      dependencies: [
        "Mixes",
        "Tensors", "Platform", "Formats", "Codecs", "Models", "Naming", "Weights", "Dialects",
        "Reports",
      ],
      swiftSettings: strict),
    .target(
      name: "Tiles",
      dependencies: ["Locks", "Tensors", "Platform", "Formats", "Codecs", "Weights", "Dialects"],
      swiftSettings: strict),
    .target(
      name: "Conversion",
      dependencies: [
        "Locks", "Tensors", "Platform", "Formats", "Models", "Weights", "Dialects", "Tiles",
        "Reports",
      ],
      swiftSettings: strict),
    .target(
      name: "Transit",
      dependencies: ["Compression", "Tensors", "Platform", "Formats", "Dialects"],
      swiftSettings: strict),
    .target(
      name: "Reference", dependencies: ["Locks", "Tensors", "Platform", "Codecs", "Models"],
      swiftSettings: strict),
    .target(
      name: "Inspection",
      dependencies: [
        "Locks", "Tensors", "Platform", "Formats", "Codecs", "Text", "Models", "Naming", "Weights",
        "Dialects", "Conversion", "Reports", "Serving",
      ],
      swiftSettings: strict),
    .target(
      name: "Parts", dependencies: ["Tensors", "Platform", "Formats", "Conversion", "Inspection"],
      swiftSettings: strict),
    .target(
      name: "Pages",
      dependencies: [
        "Tensors", "Platform", "Formats", "Models", "Weights", "Dialects", "Tiles", "Conversion",
        "Reports", "Inspection", "Verification", "Calibration",
      ],
      swiftSettings: strict),
    .target(
      name: "Passes",
      dependencies: [
        "Locks", "Tensors", "Platform", "Formats", "Codecs", "Text", "Models", "Weights",
        "Dialects", "Reference", "Reports",
      ],
      swiftSettings: strict),
    .target(
      name: "Verification",
      dependencies: [
        "Compression", "Locks", "Tensors", "Platform", "Formats", "Codecs", "Text", "Models",
        "Naming", "Weights",
        "Dialects", "Conversion", "Reference", "Reports", "Inspection", "Parts", "Passes",
      ],
      swiftSettings: strict),
    .target(
      name: "Calibration",
      dependencies: [
        "Mixes", "Locks",
        "Tensors", "Platform", "Formats", "Codecs", "Models", "Naming", "Weights", "Dialects",
        "Conversion", "Reference", "Reports", "Parts", "Passes", "Verification",
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "fathom",
      dependencies: [
        "Mixes",
        "Tensors", "Platform", "Codecs", "Formats", "Models", "Naming", "Weights", "Dialects",
        "Catalogue", "Editing", "Conversion", "Transit", "Remote", "Reports", "Serving",
        "Inspection", "Pages", "Parts",
        "Passes",
        "Calibration", "Verification", arguments,
      ],
      swiftSettings: strict),
    // `scripts/release` compiles it under the name of FoundationEssentials; here it has a test.
    .target(
      name: "PlainFoundation", path: "Packaging/PlainFoundation", swiftSettings: strict),
    .target(
      name: "Support", dependencies: ["Tensors", "Platform", "Models", "Naming"],
      path: "Tests/Support"),
    .target(
      name: "ParserEntries",
      dependencies: [
        "Mixes",
        "Compression", "Tensors", "Platform", "Formats", "Models", "Naming", "Conversion",
        "Verification", "Patterns", "Text", "Dialects", "Inspection", "Weights", "Passes", "Parts",
        "Calibration", "Remote",
      ],
      path: "Fuzz/Entries", swiftSettings: strict),
    .executableTarget(
      name: "read-inputs", dependencies: ["ParserEntries"], path: "Fuzz/Reader",
      swiftSettings: strict),
    .executableTarget(
      name: "ggml-compare", dependencies: ["Support", "Tensors", "Codecs"],
      path: "Probes/GGMLCompare", swiftSettings: strict),
    .executableTarget(
      name: "group-codes", dependencies: ["Codecs", "Tensors"], path: "Probes/GroupCodes",
      swiftSettings: strict),
    .executableTarget(
      name: "tokenizer-ids", dependencies: ["Formats", "Models", "Platform", "Tensors", "Text"],
      path: "Probes/TokenizerIDs", swiftSettings: strict),
    .executableTarget(
      name: "kernel-bench", dependencies: ["Codecs", "Tensors"], path: "Benchmarks/KernelBench",
      swiftSettings: strict),
    // What the libraries' pages show; a package of its own has them too, as others would.
    .executableTarget(
      name: "formats-example", dependencies: ["FathomFormats"],
      path: "Examples/Sources/formats-example", swiftSettings: strict),
    .executableTarget(
      name: "codecs-example", dependencies: ["FathomCodecs"],
      path: "Examples/Sources/codecs-example", swiftSettings: strict),
    .testTarget(
      name: "LibraryTests",
      dependencies: [
        "Support", "FathomFormats", "FathomCodecs", "fathom", "formats-example", "codecs-example",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "CodecsTests", dependencies: ["Support", "Codecs", "Tensors"], exclude: ["Fixtures"],
      swiftSettings: strict),
    .testTarget(name: "TensorsTests", dependencies: ["Tensors"], swiftSettings: strict),
    .testTarget(
      name: "CorpusTests", dependencies: ["Support", "ParserEntries", "Platform"],
      swiftSettings: strict),
    .testTarget(
      name: "TidyTests", dependencies: ["Support"], exclude: ["Fixtures"], swiftSettings: strict),
    // The command's tests are two targets since each is compiled by one thread.
    .testTarget(
      name: "CommandTests",
      dependencies: ["Support", "Tensors", "Platform", "PlainFoundation", "fathom"],
      exclude: ["Fixtures"],
      swiftSettings: strict),
    .testTarget(
      name: "TrustTests",
      dependencies: [
        "Support", "Tensors", "Platform", "Formats", "fathom", "read-inputs",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "RemoteTests", dependencies: ["Support", "Locks", "Platform", "Remote", "fathom"],
      swiftSettings: strict),
    .testTarget(
      name: "ModelsTests",
      dependencies: [
        "Support", "Models", "Naming", "Platform", "Serving", "Tensors", "Text", "Weights",
      ],
      exclude: ["Fixtures"], swiftSettings: strict),
    .testTarget(
      name: "VerificationTests",
      dependencies: [
        "Compression", "Support", "Locks", "Verification", "Passes", "Reference", "Models",
        "Formats", "Platform",
        "Tensors", "Reports", "Inspection", "Dialects", "Weights", "Calibration", "Pages",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "PlatformTests",
      dependencies: ["Compression", "Support", "Locks", "Patterns", "Platform"],
      exclude: ["Fixtures"],
      swiftSettings: strict),
    .testTarget(
      name: "FormatsTests",
      dependencies: ["Compression", "Support", "Formats", "Platform", "Tensors"],
      exclude: ["Fixtures"], swiftSettings: strict),
    .testTarget(
      name: "ConversionTests",
      dependencies: [
        "Mixes",
        "Support", "Codecs", "Pages", "Tiles", "Conversion", "Formats", "Models", "Naming",
        "Platform", "Tensors", "Weights", "Dialects", "Text", "Inspection", "Transit",
      ],
      exclude: ["Fixtures"], swiftSettings: strict),
    .testTarget(
      name: "ReferenceTests",
      dependencies: [
        "Support", "Tensors", "Platform", "Formats", "Codecs", "Models", "Reference",
        "Passes", "Dialects", "Weights", "Text", "Calibration",
      ],
      exclude: ["Fixtures"],
      swiftSettings: strict),
  ]
)

// Programs for libFuzzer, which `scripts/fuzz` builds. Its sanitizer brings a `main` of its own, so
// that no other program can be built beside them.
if Context.environment["FATHOM_FUZZ"] != nil {
  package.products = []
  package.targets.removeAll {
    [.executable, .test].contains($0.type) || $0.path?.hasPrefix("Tests") == true
  }
  package.targets += [
    "answer-head", "chat-template", "compressed-config", "config", "baseline", "gguf", "hash-list",
    "hub-list", "importance", "journal", "manifest", "mlx-config", "native-config", "packed",
    "part-numbers", "part-result", "pattern", "recipe", "s3-list", "safetensors-header",
    "safetensors-index", "thresholds", "tiktoken", "token-ids", "tokenizer",
  ].map {
    .executableTarget(
      name: "fuzz-\($0)", dependencies: ["ParserEntries"], path: "Fuzz/Targets/\($0)",
      swiftSettings: strict)
  }
}
