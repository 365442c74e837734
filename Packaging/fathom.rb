# The Homebrew formula of a release, as `scripts/release` fills it in.
class Fathom < Formula
  desc "Inspect, validate, convert and verify DeepSeek-family checkpoints"
  homepage "@ADDRESS@"
  url "@ADDRESS@/@ARCHIVE@"
  sha256 "@SHA256@"
  version "@VERSION@"
  license "Apache-2.0"

  depends_on arch: :x86_64
  depends_on :linux

  def install
    bin.install "bin/fathom"
    man1.install Dir["share/man/man1/*.1"]
    bash_completion.install "share/bash-completion/completions/fathom"
    zsh_completion.install "share/zsh/site-functions/_fathom"
    fish_completion.install "share/fish/vendor_completions.d/fathom.fish"
    doc.install Dir["share/doc/fathom/*"]
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/fathom --version")
  end
end
