internal import Glibc

/// What a process has to see to before it does anything else.
package enum Launch {
  /// Puts something on descriptors 0 to 2 where the parent has closed them: a file that is opened
  /// later would get such a number, and messages would land in it.
  ///
  /// What is put there can be neither read nor written as its number asks, so that results which
  /// nobody can get are a fault as before.
  package static func occupyStandardDescriptors() {
    for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
      // The lowest free number is taken.
      let mode = descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY
      guard open("/dev/null", mode) == descriptor else { exit(74) }
    }
  }

  /// Throws `.usage` for an argument that is not UTF-8: what would be used in its place is another
  /// name.
  package static func requireReadableArguments() throws(Fault) {
    // The first is the program's own name, which is not used.
    for index in 1..<max(1, Int(CommandLine.argc)) {
      guard let argument = CommandLine.unsafeArgv[index] else { continue }
      let bytes = Array(UnsafeRawBufferPointer(start: argument, count: strlen(argument)))
      guard String(validating: bytes, as: UTF8.self) == nil else { continue }
      throw Fault(
        .usage, "argument \(index) is not UTF-8", expected: "names in UTF-8: rename the file",
        found: Folder.escaped(bytes))
    }
  }
}
