internal import ArgumentParser

/// What all commands say of a MODEL argument and of threads.
enum ModelArgument {
  static let help: ArgumentHelp =
    "A checkpoint folder (config.json and *.safetensors), or one .safetensors file in it."

  /// Refuses a number of threads that no machine has.
  static func check(threads: Int) throws {
    guard (1...1024).contains(threads) else {
      throw ValidationError("--threads takes a number from 1 to 1024")
    }
  }
}

/// Documents for people or for programs.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
  case text, json
}
