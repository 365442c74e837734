internal import Platform
internal import Reports

extension VerifyReport {
  /// A suite in JUnit's XML, which CI servers show as tests: one for each threshold, and one for
  /// the finiteness of each head's logits.
  ///
  /// It is valid by `Schemas/junit.xsd`, and so by the schemas of Ant's and of Jenkins' own reports,
  /// which do not agree in what they require.
  ///
  /// - Parameters:
  ///   - clock: when the comparison began and how long it took.
  ///   - number: the suite's number among others.
  func junitSuite(_ clock: Stopwatch, number: Int) -> String {
    let cases = junitCases
    let failures = cases.count { $0.failure != nil }
    let seconds = Quantity.fixed(clock.seconds, digits: 3)
    return """
      <testsuite name="fathom verify" package="fathom" id="\(number)" timestamp="\(clock.startedAt)" \
      hostname="localhost" tests="\(cases.count)" failures="\(failures)" errors="0" skipped="0" \
      time="\(seconds)">
      <properties>
      \(junitProperties.map {
        "<property name=\"\(HTML.escape($0))\" value=\"\(HTML.escape($1))\"/>"
      }.joined(separator: "\n"))
      </properties>
      \(cases.map(\.xml).joined(separator: "\n"))
      <system-out>\(HTML.markUp(text))</system-out>
      <system-err></system-err>
      </testsuite>
      """
  }

  /// A test of the report.
  private struct Case {
    let name: String
    /// What is wrong in one line; nil where nothing is.
    let failure: String?

    /// Comparing takes as long for one test as for all, so that none has a time of its own.
    var xml: String {
      let test = "<testcase classname=\"fathom.verify\" name=\"\(HTML.escape(name))\" time=\"0\""
      guard let failure else { return test + "/>" }
      let message = HTML.escape(failure)
      return test + "><failure type=\"threshold\" message=\"\(message)\">\(message)</failure>"
        + "</testcase>"
    }
  }

  private var junitCases: [Case] {
    outcomes.map { outcome in
      Case(
        name: outcome.name,
        failure: outcome.holds
          ? nil
          : "measured \(outcome.shownValue), "
            + "\(outcome.isLeast ? "at least" : "at most") "
            + "\(Quantity.significant(outcome.limit)) is asked for")
    }
      + heads.map { head in
        Case(
          name: "every logit of \(head.name) is finite",
          failure: head.metrics.nonFinite == 0
            ? nil : "\(Quantity.plural(head.metrics.nonFinite, "logit")) not finite")
      }
  }

  /// The measurements with all their digits, under the names of the JSON.
  private var junitProperties: [(name: String, value: String)] {
    var rows = [
      ("reference", reference), ("candidate", candidate), ("verdict", verdict.rawValue),
    ]
    for head in heads {
      let metrics = head.metrics
      rows += [
        ("tokens", "\(metrics.tokens)"), ("klMean", "\(metrics.klMean)"),
        ("klMax", "\(metrics.klMax)"), ("top1Agreement", "\(metrics.top1Agreement)"),
        ("nmse", "\(metrics.nmse)"), ("maxAbsDifference", "\(metrics.maxAbsDifference)"),
        ("perplexityReference", "\(metrics.perplexityReference)"),
        ("perplexityCandidate", "\(metrics.perplexityCandidate)"),
        ("klStandardError", "\(metrics.statistics.klError)"),
      ].map { ("\(head.name).\($0)", $1) }
    }
    rows += outcomes.flatMap {
      [("\($0.name).limit", "\($0.limit)"), ("\($0.name).value", "\($0.value)")]
    }
    return rows
  }
}
