/// Which symbolic links in a model's folder are followed.
package enum LinkRule: Sendable {
  /// Those that stay in the folder, and in a snapshot of the Hugging Face cache those into its
  /// `blobs`. Any other one could bring a private file of this machine into an output.
  case withinFolder
  /// All: the user has made them.
  case anywhere

  /// The rule for folders that are opened now. A thread that nobody has told has the strict one.
  @TaskLocal package static var current = LinkRule.withinFolder

  /// Opens what the user's own settings name, wherever links lead.
  package static func following<Result>(
    _ body: () throws(Fault) -> Result
  ) throws(Fault) -> Result {
    try $current.withValue(.anywhere) { Swift.Result(catching: body) }.get()
  }
}
