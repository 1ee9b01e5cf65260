"""A small address book: names and mail addresses, saved after each change.

>>> book = AddressBook("people.json")
>>> book.add("Ada", "ada@example.org")
>>> book.find("ada")
[('Ada', 'ada@example.org')]
"""

import json
import os
import re
from collections import defaultdict

# One "@", something on both sides: good enough, the server has the last word.
MAIL = re.compile(r"[^@\s\"']+@[^@\s]+\.[a-z]{2,}")
MAX_NAME = 64
ESCAPES = {"\t": "\\t", "\n": "\\n", "\"": "\\\"", "'": "\\'"}


class AddressBook:
    """Names and mail addresses, saved after each change."""

    def __init__(self, path, encoding='utf-8'):
        self.path = path
        self.encoding = encoding
        self.people = defaultdict(list)
        if os.path.exists(path) and os.path.getsize(path) > 0:
            with open(path, encoding=encoding) as f:
                for name, mails in json.load(f).items():
                    self.people[name].extend(mails)

    def add(self, name, mail):
        # one person may have many addresses; a "nick name" isn't checked
        if '@' not in mail or MAIL.fullmatch(mail) is None:
            raise ValueError("not an address: %r" % (mail,))
        if not 0 < len(name) <= MAX_NAME:
            raise ValueError(f"a name has 1 to {MAX_NAME} letters, not {len(name)}")
        if mail not in self.people[name]:
            self.people[name].append(mail)
            self.save()

    def remove(self, name, mail=None):
        """Remove one address of a person, or the person altogether.

        A name that is not in the book is a KeyError: "who is that?" is
        a better answer than silence.
        """
        if mail is None:
            del self.people[name]
        else:
            self.people[name].remove(mail)
            if not self.people[name]:
                del self.people[name]
        self.save()

    def find(self, text):
        """Return all (name, mail) pairs that contain *text*."""
        found = []
        for name, mails in sorted(self.people.items()):
            for mail in mails:
                if text.lower() in (name + ' ' + mail).lower():
                    found.append((name, mail))
        return found

    def save(self):
        draft = self.path + ".new"  # don't lose the old book if the disk is full
        with open(draft, "w", encoding=self.encoding) as f:
            json.dump(self.people, f, indent=2, sort_keys=True)
            f.write("\n")
        os.replace(draft, self.path)


def escape(text):
    """Make tabs, line ends and quotes in *text* visible."""
    return "".join(ESCAPES.get(c, c) for c in text)


def as_table(pairs, width=24):
    rows = [("name", "mail"), ("-" * 4, "-" * 4)]
    rows += [(escape(name)[:width], escape(mail)) for name, mail in pairs]
    return "\n".join("{:<{w}}  {}".format(a, b, w=width) for a, b in rows)


def domains(book):
    counts = {}
    for mails in book.people.values():
        for host in {mail.rpartition("@")[2].lower() for mail in mails}:
            counts[host] = counts.get(host, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


if __name__ == "__main__":
    book = AddressBook(os.path.expanduser("~/people.json"))
    try:
        book.add("Ada", "ada@example.org")
        book.add('Grace "Amazing" Hopper', 'grace@example.com')
    except ValueError as why:
        print("That didn't work:", why)
    print(as_table(book.find("example")))
    for host, n in domains(book)[:10]:
        print(f"{host:>20} {'#' * n} ({n})")
