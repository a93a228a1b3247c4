"""Writes an OCI image layout. Usage: layout.py LAYOUT FOLDER ..., the folder of the lowest layer first.

A folder is the upper directory of an overlay mount: its whiteouts and opaque folders become those of OCI."""
import gzip, hashlib, json, os, stat, sys, tarfile

layout, folders = sys.argv[1], sys.argv[2:]
blobs = os.path.join(layout, "blobs/sha256")
os.makedirs(blobs, exist_ok=True)


def blob(content):
    digest = hashlib.sha256(content).hexdigest()
    with open(os.path.join(blobs, digest), "wb") as file:
        file.write(content)
    return {"digest": f"sha256:{digest}", "size": len(content)}


class Hashing:
    def __init__(self, file):
        self.file, self.sum, self.size = file, hashlib.sha256(), 0

    def write(self, content):
        self.sum.update(content)
        self.size += len(content)
        return self.file.write(content)

    def flush(self):
        self.file.flush()


def is_opaque(path):
    try:
        return os.getxattr(path, "trusted.overlay.opaque", follow_symlinks=False) == b"y"
    except OSError:
        return False


def empty(archive, name):
    entry = tarfile.TarInfo(name)
    archive.addfile(entry)


def add(archive, folder, path=""):
    for name in sorted(os.listdir(os.path.join(folder, path))):
        inside, at = os.path.join(path, name), os.path.join(folder, path, name)
        status = os.lstat(at)
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            empty(archive, os.path.join(path, f".wh.{name}"))
            continue
        if stat.S_ISSOCK(status.st_mode):
            continue
        archive.add(at, inside, recursive=False)
        if stat.S_ISDIR(status.st_mode):
            if is_opaque(at):
                empty(archive, os.path.join(inside, ".wh..wh..opq"))
            add(archive, folder, inside)


layers, diff_ids = [], []
for folder in folders:
    temporary = os.path.join(blobs, "layer")
    with open(temporary, "wb") as file:
        packed = Hashing(file)
        with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=6, mtime=0, filename="") as zipped:
            plain = Hashing(zipped)
            with tarfile.open(fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT) as archive:
                add(archive, folder)
    digest = packed.sum.hexdigest()
    os.rename(temporary, os.path.join(blobs, digest))
    layers.append({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": f"sha256:{digest}", "size": packed.size})
    diff_ids.append(f"sha256:{plain.sum.hexdigest()}")
config = {"architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
manifest = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **blob(json.dumps(config).encode())},
    "layers": layers,
}
entry = {"mediaType": manifest["mediaType"], **blob(json.dumps(manifest).encode()), "annotations": {"org.opencontainers.image.ref.name": "latest"}}
with open(os.path.join(layout, "index.json"), "w") as file:
    json.dump({"schemaVersion": 2, "manifests": [entry]}, file)
with open(os.path.join(layout, "oci-layout"), "w") as file:
    file.write('{"imageLayoutVersion":"1.0.0"}')
print(sum(layer["size"] for layer in layers), "bytes in", len(layers), "layers")
