import Testing

/// Files are opened by path where the user named them or the program made them; all else goes
/// through the door of its folder, `InputFolder`.
@Suite struct DoorTests {
  /// Where a path may be opened, and why.
  static let allowed: [String: String] = [
    "Sources/Platform/InputFile.swift": "declares it",
    "Sources/Platform/FilePatch.swift": "what an edit has left that was killed",
    "Sources/Editing/MetadataText.swift": "--set-file",
    "Sources/Platform/WorkFolder.swift": "the program's own unfinished files",
    "Sources/Formats/ModelFormat.swift": "a file that was named as MODEL",
    "Sources/Formats/Safetensors/SafetensorsFile.swift": "a file of tokens that was named",
    "Sources/Formats/GGUF/ImportanceMatrix.swift": "--imatrix",
    "Sources/Mixes/RecipeFile.swift": "--recipe",
    "Sources/Calibration/Recipe/RecipeEvidence.swift": "--evidence",
    "Sources/Transit/Packing/Unpacking.swift": "a packed file that was named",
    "Sources/Conversion/Run/FinishedOutput.swift": "the program's own output",
    "Sources/Conversion/Run/KeptWork.swift": "the program's own output",
    "Sources/Conversion/Run/PlanWriter.swift": "the program's own output",
    "Sources/Calibration/Importance/ImatrixRun+Keeping.swift": "the program's own output",
    "Sources/Verification/Baseline/Baseline.swift": "a baseline or MODEL that was named",
    "Sources/Verification/Baseline/Baseline+Coding.swift": "a baseline that was named",
    "Sources/Inspection/Hash/HashList.swift": "--check",
    "Sources/Parts/PartNumbers.swift": "--parts",
    "Sources/Parts/PartResults.swift": "--parts",
    "Sources/Passes/ModelInput.swift": "--text",
    "Sources/Passes/TokenInput.swift": "--tokens",
    "Sources/Inspection/Manifest/ManifestFile.swift": "--manifest-file",
    "Sources/Verification/Verify/ModelHash.swift": "a baseline that was named",
    "Sources/Verification/Verify/ThresholdFile.swift": "--thresholds",
  ]

  private static func opensByPath(_ file: SourceFile) -> Bool {
    file.lines.contains { $0.contains("InputFile(path:") || $0.contains("InputFile.contents(of:") }
  }

  @Test(arguments: SourceTree.sources)
  func opensByPathOnlyWhatWasNamed(file: SourceFile) {
    if DoorTests.opensByPath(file) {
      #expect(
        DoorTests.allowed[file.path] != nil,
        "\(file.path): open what lies beside a model by InputFolder")
    }
  }

  @Test func theListHasNoFileThatOpensNothing() {
    let files = SourceTree.sources.filter(DoorTests.opensByPath).map(\.path)
    let own: Set = ["Sources/Platform/InputFile.swift"]
    #expect(Set(DoorTests.allowed.keys).subtracting(own).isSubset(of: files))
  }
}
