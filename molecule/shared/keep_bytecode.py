# Copyright (c) 2026 The rcron maintainers
# SPDX-License-Identifier: MIT
#
# connection/node.py puts this in front of each Ansible module that it runs in a node. A module comes with all that it
# imports of Ansible, as source in a zip file, and half of its processor time goes into compiling that. The bytecode is
# kept here in a file named after the source's checksum, for the next module.


def _keep_bytecode():
    import _imp
    import marshal
    import os
    import sys
    import zipimport

    folder = f"/var/tmp/ansible-bytecode/{sys.implementation.cache_tag}"
    compile_source = zipimport._compile_source

    def kept(path, source):
        name = f"{folder}/{os.path.basename(path)}-{_imp.source_hash(0, source).hex()}"
        try:
            with open(name, "rb") as file:
                return marshal.loads(file.read())  # noqa: S302 - written below
        except FileNotFoundError:
            code = compile_source(path, source)
            os.makedirs(folder, exist_ok=True)
            with open(f"{name}.{os.getpid()}", "wb") as file:
                file.write(marshal.dumps(code))
            os.rename(file.name, name)
            return code

    zipimport._compile_source = kept


_keep_bytecode()
