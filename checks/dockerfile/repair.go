package dockerfile

import (
	"fmt"
	"slices"
	"strings"

	"plimsoll/checks"
)

// A base that nobody publishes anew is repaired in the images that build on it: a
// step installs those packages of the distribution that newer ones repair.

// upgraders are the commands by which a package manager installs newer versions
// of packages that are there, and no others.
var upgraders = map[string]string{
	"apt-get":  "apt-get update && apt-get install --no-install-recommends --only-upgrade -y %s && rm -rf /var/lib/apt/lists/*",
	"apk":      "apk upgrade --no-cache %s",
	"dnf":      "dnf upgrade -y %s && dnf clean all",
	"microdnf": "microdnf upgrade -y %s && microdnf clean all",
	"yum":      "yum update -y %s && yum clean all",
	"tdnf":     "tdnf update -y %s && tdnf clean all",
	"zypper":   "zypper --non-interactive update %s && zypper clean --all",
}

// mostUpgraded is how many packages are named; of more, a newer base is the cure.
const mostUpgraded = 60

// repairFix installs the repaired packages of b in the first step of s, as root,
// and is the user of b again afterwards.
func (f *File) repairFix(s *Stage, b Base) []checks.Fix {
	command, known := upgraders[b.Manager]
	if !known || s.windows || len(b.Repaired) == 0 || len(b.Repaired) > mostUpgraded || slices.ContainsFunc(b.Repaired, func(p string) bool { return !plainPackage(p) }) {
		return nil
	}
	lines := []string{"RUN " + fmt.Sprintf(command, strings.Join(b.Repaired, " "))}
	if b.User != "" && !checks.IsRoot(b.User, b.Passwd) {
		lines = []string{"USER root", lines[0], "USER " + b.User}
	}
	for i := range lines {
		lines[i] = f.respelled(lines[i])
	}
	edit, ok := f.insertAfter(s.From, strings.Join(lines, f.eol()), checks.Msg("packages in which vulnerabilities are repaired, while the base has the old ones"))
	if !ok {
		return nil
	}
	if f.repairs(s, b.Repaired) {
		return nil
	}
	return []checks.Fix{{
		ID: "upgrade-packages", Title: checks.Msg("install the repaired packages while the image is built"),
		Caution: checks.Msg("a newer base image is the better cure: this layer holds the replaced files a second time, and the cache of the build keeps it as it is"),
		Brings:  []string{"user-not-numeric"}, // the base is that user already
		Edit:    fixed(edit),
	}}
}

// plainPackage keeps names of packages, which come from an image, from being
// anything else in a shell.
func plainPackage(name string) bool {
	return name != "" && name[0] != '-' && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._:") == ""
}

// repairs reports whether the steps of s, or of stages that are built on it, install
// newer versions of all of packages.
func (f *File) repairs(s *Stage, packages []string) bool {
	if len(packages) == 0 {
		return false
	}
	left := slices.Clone(packages)
	f.eachCall(func(in *Instruction, k *call) {
		newer := k.is("upgrade", "dist-upgrade", "full-upgrade", "update", "up", "dup", "distro-sync", "safe-upgrade")
		switch {
		case in.Stage.Root() != s:
			return
		case k.is("update") && slices.Contains([]string{"apt-get", "apt", "aptitude", "apk"}, k.tool):
			return // of the lists alone
		case k.is("install") && k.has("--only-upgrade"), k.is("add") && k.has("--upgrade", "-u"):
			newer = len(k.operands) > 0
		}
		if newer && len(k.operands) == 0 {
			left = nil
		}
		if newer {
			left = slices.DeleteFunc(left, func(p string) bool {
				return slices.ContainsFunc(k.operands, func(w shellWord) bool { return w.text == p })
			})
		}
	}, "apt-get", "apt", "aptitude", "zypper", "apk", "yum", "dnf", "microdnf", "tdnf")
	return len(left) == 0
}
