"""The sums of the lake, made again from its facts by Spark: for lakes beyond one database. Needs the extra `spark`.

Run it with `spark-submit analytics/restatement.py LAKE OUT`, both folders or addresses that Spark reads, such as
s3a://bucket/prefix/parquet. It reads `fact_call` and `dim_date` below LAKE, tells anew which calls were repeated, and
writes `fact_call` and every `agg_*` below OUT, by month and with the schema of the export: the same rows, but for
`modified_at_utc` of a sum, which is the newest of its facts.

It imports nothing of Callwise, so that the file alone can be sent to a cluster; the tests hold its parts and grains
against the star schema's.
"""

import sys
from typing import Any

UNKNOWN = -1
OTHER = "other"
REPEAT_WINDOW_S = 7 * 24 * 3600
GRAINS = {
    "agg_day": ("date_key", "reason_key", "queue_key", "team_key", "is_sample"),
    "agg_agent_day": ("date_key", "agent_key", "team_key", "is_sample"),
    "agg_hour": ("date_key", "hour_of_day", "queue_key", "is_sample"),
}
PERIODS = {"day": "date_key", "week": "week_starts_on_key", "month": "month_starts_on_key"}
DIMENSIONS = {"all": "", "reason": "reason_key", "queue": "queue_key", "team": "team_key", "agent": "agent_key"}
# A day of an agent stands in agg_agent_day.
LEFT_OUT = ("day", "agent")
MODIFIED = "modified_at_utc"


def parts_of(columns: list[str]) -> list[str]:
    """The columns of fact_call that are added: those between is_window_complete and modified_at_utc."""
    return columns[columns.index("is_window_complete") + 1 : columns.index(MODIFIED)]


def repeated(facts: Any, reasons: Any) -> Any:
    """The facts with their repeat parts told anew: by the same customer, about the same reason, within 7 days.

    `reasons` is dim_reason. A call counts where its window is complete, its customer is known and its reason is one
    that may repeat.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    codes = f.broadcast(reasons.select("reason_key", f.col("code").alias("_code")))
    counted = facts.join(codes, "reason_key", "left")
    # By the reason's code: a reason goes on from one version of the taxonomy to the next.
    order = Window.partitionBy("customer_key", "_code").orderBy("happened_at_utc", "call_id")
    micros = f.unix_micros("happened_at_utc")
    follows = f.coalesce(f.lead(micros).over(order) - micros < REPEAT_WINDOW_S * 1_000_000, f.lit(False))
    is_known = (f.col("customer_key") != UNKNOWN) & (f.col("classified_count") > 0) & (f.col("_code") != OTHER)
    told = counted.withColumn("_counts", is_known & f.col("is_window_complete")).withColumn("_follows", follows)
    return (
        told.withColumn("repeat_window_count", f.col("_counts").cast("bigint"))
        .withColumn("repeated_count", (f.col("_counts") & f.col("_follows")).cast("bigint"))
        .withColumn("not_repeated_count", (f.col("_counts") & ~f.col("_follows")).cast("bigint"))
        .select(*facts.columns)
    )


def summed(facts: Any, grain: tuple[str, ...], parts: list[str]) -> Any:
    """The sums of the parts by the grain."""
    from pyspark.sql import functions as f

    sums = [f.sum(name).cast("bigint").alias(name) for name in parts]
    return facts.groupBy(*grain).agg(*sums, f.max(MODIFIED).alias(MODIFIED))


def by_period(facts: Any, dates: Any, parts: list[str]) -> Any:
    """agg_period: the sums of each day, week and month, for all and by each dimension."""
    from functools import reduce

    from pyspark.sql import functions as f

    dated = facts.join(f.broadcast(dates.select("date_key", "week_starts_on_key", "month_starts_on_key")), "date_key")
    made = []
    for period, start in PERIODS.items():
        for dimension, member in DIMENSIONS.items():
            if (period, dimension) == LEFT_OUT:
                continue
            keyed = dated.select(
                f.lit(period).alias("period"),
                f.lit(dimension).alias("dimension"),
                f.col(start).alias("starts_on_key"),
                (f.col(member) if member else f.lit(0)).cast("bigint").alias("member_key"),
                "is_sample",
                *parts,
                MODIFIED,
            )
            made.append(summed(keyed, ("period", "dimension", "starts_on_key", "member_key", "is_sample"), parts))
    return reduce(lambda one, other: one.unionByName(other), made)


def restate(spark: Any, lake: str, out: str) -> None:
    """Read the facts below `lake`, write facts and sums below `out`."""
    from pyspark.sql import functions as f

    # Both readers and the export count days in UTC instants; the session's own zone must not shift them.
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    spark.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
    spark.conf.set("spark.sql.parquet.compression.codec", "zstd")
    facts = spark.read.parquet(f"{lake}/fact_call").drop("month")
    dates = spark.read.parquet(f"{lake}/dim_date")
    parts = parts_of(facts.columns)
    told = repeated(facts, spark.read.parquet(f"{lake}/dim_reason")).cache()
    tables = {"fact_call": told, "agg_period": by_period(told, dates, parts)}
    tables |= {name: summed(told, grain, parts) for name, grain in GRAINS.items()}
    for name, table in tables.items():
        day = f.col("starts_on_key" if name == "agg_period" else "date_key")
        month = f.format_string("%04d-%02d", (day / 10_000).cast("int"), (day / 100 % 100).cast("int"))
        table.withColumn("month", month).repartition("month").write.mode("overwrite").partitionBy("month").parquet(
            f"{out}/{name}"
        )


def main() -> None:
    """The command of spark-submit."""
    from pyspark.sql import SparkSession

    _, lake, out = sys.argv
    restate(SparkSession.builder.appName("callwise-restatement").getOrCreate(), lake, out)


if __name__ == "__main__":
    main()
