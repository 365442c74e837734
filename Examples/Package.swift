// swift-tools-version: 6.3
import PackageDescription

// A package that depends on Fathom as others would; here by the folder that it lies in.
let package = Package(
  name: "examples",
  dependencies: [.package(name: "fathom", path: "..")],
  targets: [
    .executableTarget(
      name: "formats-example",
      dependencies: [.product(name: "FathomFormats", package: "fathom")]),
    .executableTarget(
      name: "codecs-example", dependencies: [.product(name: "FathomCodecs", package: "fathom")]),
  ]
)
