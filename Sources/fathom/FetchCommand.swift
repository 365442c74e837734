internal import ArgumentParser
internal import Platform
internal import Reports
internal import Transit

struct FetchCommand: ParsableCommand, ModelReading {
  static let configuration = CommandConfiguration(
    commandName: "fetch",
    abstract: "Download a model, only the files that make it up, and check what came.",
    usage: "fathom fetch <model> <folder> [<options>]",
    discussion: """
      Headers are read and checked first. Many ranges come side by side; every file appears under its \
      name when it is whole and, where the server states its SHA-256, has it. The same command goes on \
      where an earlier one was interrupted.

        fathom fetch hf://deepseek-ai/DeepSeek-V3 V3-copy
        fathom fetch hf://deepseek-ai/DeepSeek-V3@main V3-main
      """)

  @Argument(help: "hf://ORG/NAME[@REVISION], ORG/NAME, s3://BUCKET/FOLDER, or an https address.")
  var model: String

  @Argument(help: "The folder to fill; it is made where it is not there.")
  var folder: String

  @Flag(help: "Replace files of the same names and other contents.")
  var overwrite = false

  @OptionGroup
  var printed: FormatOption

  @OptionGroup
  var work: WorkOptions

  @OptionGroup
  var links: LinkOptions

  var models: [String] { [model] }

  func run() throws {
    let fetch = try ModelFetch(path: model, threads: work.threads)
    let result = try ProgressLine.during(work.progress) { report throws(Fault) in
      try fetch.run(to: folder, overwrite: overwrite, progress: report)
    }
    try Console.write(printed.format == .json ? result.json.printed() + "\n" : result.text)
  }
}
